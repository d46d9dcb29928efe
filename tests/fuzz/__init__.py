"""The API under requests that nobody sane would send: generated from its own description, and made by hand."""
