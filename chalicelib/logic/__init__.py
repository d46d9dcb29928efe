"""The use cases, in the product's own words: no AWS, no HTTP."""
