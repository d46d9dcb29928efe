"""How people come into an organisation that there is."""
