"""Migrations: numbered modules, each applied once to each deployment, in order.

A module `m0003_what_it_does.py` has `DESCRIPTION` and `apply(context)`. `apply` must bear being run again from the
start or from the position that it last saved: a crash may come at any line. Add one, never change or rename one that
was released.
"""
