"""What happens to an upload after it arrived: announcement, lease, type, checks, copy."""
