"""Webhooks: an organisation's events, posted to its own programs, signed, and tried for days."""
