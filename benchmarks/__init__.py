"""What it costs: AWS calls, CPU, memory, cold start, how late events are. Printed; nothing here passes or fails."""
