"""Organisations: policy, quota, counters."""
