"""The console: the page at ``/`` for people, and the files that it is made of."""
