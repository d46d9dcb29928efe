"""What it costs: AWS calls, CPU, memory, cold start. Measured and printed; nothing here passes or fails."""
