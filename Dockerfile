FROM python:3.11.14-slim-bookworm

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=1048576
WORKDIR /srv/exports

# The runtime alone, each file with the hash that it had when it was chosen; nothing is built here.
COPY requirements.lock .
RUN pip install --require-hashes --only-binary :all: -r requirements.lock

COPY . .

# Production settings refuse to start without these; nothing here outlives this one command.
RUN SECRET_KEY="$(python -c 'import secrets; print(secrets.token_urlsafe(64))')" \
    ALLOWED_HOSTS=build.invalid \
    DATABASE_URL=postgresql://build.invalid/exports \
    REDIS_URL=redis://build.invalid/0 \
    EXPORTS_S3_BUCKET=build \
    EMAIL_URL=console: \
    python manage.py collectstatic --noinput

RUN useradd --system --uid 10001 --no-create-home exports
USER exports
EXPOSE 8000

# Whether it can work, not only lives. The site answers only to its own names, so the probe gives one of them.
# Workers and beat switch it off.
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(u.Request('http://127.0.0.1:8000/health/ready/', headers={'Host': os.environ['ALLOWED_HOSTS'].split(',')[0].lstrip('.')}), timeout=4)"]

CMD ["uvicorn", "exportsite.asgi:application", "--host", "0.0.0.0", "--port", "8000", "--timeout-graceful-shutdown", "10"]
