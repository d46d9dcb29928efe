"""Ends whatever a crash has left open."""
