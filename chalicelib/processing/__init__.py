"""Processing of uploads: announcements, lease, type detection, checks, copy."""
