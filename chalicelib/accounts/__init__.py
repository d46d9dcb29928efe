"""People and their access: users, passwords, sessions, tickets, rate limits."""
