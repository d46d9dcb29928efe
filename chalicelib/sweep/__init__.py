"""Finishes what a crash left open."""
