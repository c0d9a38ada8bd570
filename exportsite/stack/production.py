"""`python -m exportsite.stack.production manage.py …`: a command under production settings, with no secret.

For checks that look at settings and code only; nothing listens at any of these addresses.
"""

from __future__ import annotations

import os
import secrets
import sys

NOWHERE = "127.0.0.1:1"
VARIABLES = {
    "DEBUG": "0",
    "ALLOWED_HOSTS": "exports.example.com",
    "DATABASE_URL": f"postgresql://exports:secret@{NOWHERE}/exports",
    "REDIS_URL": f"redis://{NOWHERE}/0",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_REGION": "eu-central-1",
    "AWS_ENDPOINT_URL_S3": f"http://{NOWHERE}",
    "EXPORTS_S3_BUCKET": "exports",
    "EMAIL_URL": "smtp://mail.example.com:587/?tls=True",
    "ADMINS": "operator@example.com",
    # makemigrations would like to compare with a database, and says so where there is none.
    "PYTHONWARNINGS": "ignore:Got an error checking a consistent migration history",
}

if __name__ == "__main__":
    os.environ.update(VARIABLES, SECRET_KEY=secrets.token_urlsafe(64))
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])  # noqa: S606 - no shell wanted
