"""HTTP only: parsing, identity, cookies, errors to responses."""
