"""The same API on one machine as most would write it: Flask, SQLAlchemy on SQLite, Celery. Only to compare with."""
