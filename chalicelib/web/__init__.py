"""HTTP: parsing, identity, headers, limits, and the one place where errors become responses."""
