"""The commands of the operator's command line, by what they are about."""
