"""Keys with which programs sign in."""
