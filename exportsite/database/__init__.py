"""A database backend for web processes: Django's for PostgreSQL, with a pool that a lost server does not spoil."""
