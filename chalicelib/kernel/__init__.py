"""What every room builds on: settings, errors, logs, clock, the caller. Knows no subject, no AWS, no HTTP."""
