"""Programs that follow an organisation's events, tried while files are changed, processes killed and answers false."""
