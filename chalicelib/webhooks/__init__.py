"""Webhooks: events are posted to the customer's own server, signed."""
