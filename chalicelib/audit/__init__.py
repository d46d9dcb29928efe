"""Audit: who did what, from where, when; found, exported, and sealed so that a change of it can be seen."""
