"""PostgreSQL, Redis, S3, web and workers on one machine, from nothing but the Python packages."""
