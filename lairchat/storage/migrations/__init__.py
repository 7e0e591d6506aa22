"""Alembic's directory: the history of the schema, one file per step, in the order of their names."""
