"""Settings of the site: everything that differs between machines is read from the environment.

The names, their units and their defaults are explained in docs/operations.md.
A value that is missing or unsafe in production (``DEBUG`` off) stops the start, by name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dj_email_url
from django.core.exceptions import ImproperlyConfigured

from exports_app.conf import EQUAL_PARTS, bad_equal_parts, parse_rate
from exportsite import addresses
from exportsite.environment import Env, weakness

env = Env()
BASE_DIR = Path(__file__).resolve().parent.parent

DEBUG: bool = env.bool("DEBUG", False)


def required(name: str, *, desk: str) -> str:
    """The variable, or at a desk (``DEBUG=1``) the value given for it."""
    value = env.str(name, "")
    if value or DEBUG:
        return value or desk
    raise ImproperlyConfigured(f"{name} is not set. Set it, or set DEBUG=1 on a machine that is not public.")


# Security

SECRET_KEY = required("SECRET_KEY", desk="insecure-key-of-a-desk")
# Keys of before: what they signed or encrypted is still read, and nothing new is made with them.
SECRET_KEY_FALLBACKS: list[str] = env.list("SECRET_KEY_FALLBACKS", [])
for _name, _keys in {"SECRET_KEY": [SECRET_KEY], "SECRET_KEY_FALLBACKS": SECRET_KEY_FALLBACKS}.items():
    if not DEBUG and (_why := next(filter(None, map(weakness, _keys)), "")):
        raise ImproperlyConfigured(f"{_name} {_why}. Give it 50 or more random characters.")
ALLOWED_HOSTS = [host for host in required("ALLOWED_HOSTS", desk="localhost,127.0.0.1,[::1]").split(",") if host]
if not DEBUG and "*" in ALLOWED_HOSTS:
    raise ImproperlyConfigured("ALLOWED_HOSTS holds *: name the hosts that this site answers to.")
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", [])
# Behind a proxy that ends TLS; HTTPS=0 only where no browser reaches the site over the internet.
# Whether a request came by TLS, and from where, is uvicorn's to say: it heeds X-Forwarded-* of the proxies that
# FORWARDED_ALLOW_IPS names, and Django looks at none of these headers itself.
HTTPS = env.bool("HTTPS", not DEBUG)
if not DEBUG and "*" in env.str("FORWARDED_ALLOW_IPS", ""):
    raise ImproperlyConfigured("FORWARDED_ALLOW_IPS holds *: name the proxies that may say where requests come from.")
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^health/", r"^metrics$"]
SECURE_HSTS_SECONDS = env.int("HSTS_SECONDS", 31_536_000) * HTTPS
# The other hosts of the domain, and a list that browsers ship, are for the domain's owner to decide on.
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("HSTS_INCLUDE_SUBDOMAINS", False)
SECURE_HSTS_PRELOAD = env.bool("HSTS_PRELOAD", False)
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# Pages bring no script or style in their text, and ask no other host. Downloads are redirects to the bucket's host,
# which browsers count as a form's action where a button started them.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "connect-src": ["'self'"],
        "form-action": ["'self'", *addresses.file_hosts(env)],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576  # bytes of forms; exportsite.bodies bounds all others

# Applications

INSTALLED_APPS = [
    "django.contrib.admin.apps.SimpleAdminConfig",  # the URLs load the admin classes, commands need none of them
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "csp",
    "django_filters",
    "django_htmx",
    "django_structlog",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "exports_app",
    "exportsite",
    "exportsite.samples",
    *env.list("EXPORTSITE_EXTRA_APPS", []),
]
MIDDLEWARE = [
    "exports_app.request_id.request_id_middleware",
    "exports_app.api.caching.no_store_middleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # In front of what may refuse a request, so that those pages have them too.
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "exportsite.signin.middleware.sign_in_middleware",
    "django_htmx.middleware.HtmxMiddleware",
    "exports_app.web.away.DatabaseAwayMiddleware",
    "exports_app.web.away.RequestLogMiddleware",
]
ROOT_URLCONF = "exportsite.urls"
ASGI_APPLICATION = "exportsite.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "exports:home"
LOGOUT_REDIRECT_URL = "login"
AUTHENTICATION_BACKENDS = ["exportsite.signin.backend.BackOffBackend"]
# Hashes of Django's default, as this site kept them before, go on working and become the other at the next sign-in.
PASSWORD_HASHERS = ["exportsite.signin.hashers.SignInHasher", "django.contrib.auth.hashers.PBKDF2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]

# Database

DATABASES: dict[str, Any] = {
    "default": addresses.database("DATABASE_URL", required("DATABASE_URL", desk="postgres://localhost/exportsite"))
}
# A server that is gone without a word is noticed within half a minute, not within the kernel's hours.
DATABASES["default"].setdefault("OPTIONS", {}).update(
    connect_timeout=5, keepalives_idle=10, keepalives_interval=5, keepalives_count=3, tcp_user_timeout=30_000
)
# For web processes alone: under ASGI each request has a thread of its own, and would sign in anew.
if _size := env.int("DATABASE_POOL", 0):
    if _size < 0:
        raise ImproperlyConfigured(f"DATABASE_POOL is {_size}. Set it to a number of connections, or 0 for no pool.")
    DATABASES["default"]["ENGINE"] = "exportsite.database"
    DATABASES["default"]["OPTIONS"]["pool"] = {
        "min_size": 1,
        "max_size": _size,
        "timeout": 3,  # seconds; who waits longer for a connection gets 503
        "reconnect_timeout": 3,  # then the next request tries, so that the pauses do not grow with an outage
    }
EXPORTS_SOURCE_DATABASE_URL = addresses.source(
    "EXPORTS_SOURCE_DATABASE_URL", env.str("EXPORTS_SOURCE_DATABASE_URL", "")
)

# Language, time, static files

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
# At a desk the files are served from where they stand; production collects them first.
WHITENOISE_AUTOREFRESH = WHITENOISE_USE_FINDERS = DEBUG

# Storage of the finished files. DESIGN: the S3 sink takes its client and bucket from this setting.

AWS_ENDPOINT_URL_S3 = env.str("AWS_ENDPOINT_URL_S3", "") or None
EXPORTS_S3_BUCKET = required("EXPORTS_S3_BUCKET", desk="exports")
EXPORTS_S3_PUBLIC_ENDPOINT_URL = env.str("EXPORTS_S3_PUBLIC_ENDPOINT_URL", "") or AWS_ENDPOINT_URL_S3
EXPORTS_CHECK_STORAGE = env.bool("EXPORTS_CHECK_STORAGE", True)
EXPORTS_S3_EQUAL_PARTS = env.str("EXPORTS_S3_EQUAL_PARTS", "") or "auto"
if EXPORTS_S3_EQUAL_PARTS not in EQUAL_PARTS:
    raise ImproperlyConfigured(bad_equal_parts(EXPORTS_S3_EQUAL_PARTS))
STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
    "exports": {
        "BACKEND": "exports_app.s3.ExportsS3Storage",
        "OPTIONS": {
            "bucket_name": EXPORTS_S3_BUCKET,
            "endpoint_url": AWS_ENDPOINT_URL_S3,
            "access_key": env.str("AWS_ACCESS_KEY_ID", "") or None,
            "secret_key": env.str("AWS_SECRET_ACCESS_KEY", "") or None,
            "region_name": env.str("AWS_REGION", "") or addresses.REGION,
        },
    },
}

# Celery. Why each value: docs/reliability.md.

REDIS_URL = required("REDIS_URL", desk="redis://localhost:6379/0")
CELERY_BROKER_URL, _sentinel = addresses.broker("REDIS_URL", REDIS_URL)
CELERY_TASK_IGNORE_RESULT = True  # the job's row is the only truth
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_DEFAULT_QUEUE = "maintenance"
CELERY_TASK_SOFT_TIME_LIMIT = 1_900  # seconds; the run ends its slice (600) or one-piece run (1,800) by itself
CELERY_TASK_TIME_LIMIT = 1_960
CELERY_TASK_REJECT_ON_WORKER_LOST = False  # the lease decides
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_MAX_TASKS_PER_CHILD = 500
CELERY_WORKER_MAX_MEMORY_PER_CHILD = 512_000  # KiB
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 20.0
CELERY_WORKER_ENABLE_SOFT_SHUTDOWN_ON_IDLE = True
CELERY_WORKER_ETA_TASK_LIMIT = 100
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 3_600,  # above the hard time limit and any countdown
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 10,
    **_sentinel,
}

# API

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "exports_app.api.permissions.BearerAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": [
        "exports_app.api.permissions.ExportsEnabled",
        "rest_framework.permissions.IsAuthenticated",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["exports_app.api.parsers.BoundedJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "exports_app.api.schema.ExportsSchema",
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "exports_app.api.negotiation.ByAcceptAlone",
    "EXCEPTION_HANDLER": "exports_app.api.exceptions.handle",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Exports",
    "DESCRIPTION": "Say what you want exported, watch it, fetch the file.",
    "VERSION": "1.0.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",  # its files come from a package, not from a CDN
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "ENFORCE_NON_BLANK_FIELDS": True,
    "ENUM_NAME_OVERRIDES": {
        "JobStatus": "exports_app.choices.Status",
        "DeliveryStatus": "exports_app.choices.Delivery",
    },
}

# Exports: read through exports_app.conf, which holds the defaults.

ENABLE_EXPORTS = env.bool("ENABLE_EXPORTS", True)
EXPORTS_SITE_URL = env.str("EXPORTS_SITE_URL", "").rstrip("/") or (
    f"{'https' if HTTPS else 'http'}://{ALLOWED_HOSTS[0].lstrip('.')}"
)
if not DEBUG:
    addresses.check_site(EXPORTS_SITE_URL, ALLOWED_HOSTS, https=HTTPS)
for _name in (
    "MAX_ACTIVE",
    "FILE_TTL",
    "LEASE_SECONDS",
    "SWEEP_SECONDS",
    "SLICE_SECONDS",
    "OUTAGE_SECONDS",
    "PART_SIZE",
    "CHUNK_ROWS",
    "DIRECT_MAX_ROWS",
    "STREAM_MAX_ROWS",
    "SOURCE_MAX_RUNNING",
    "JOB_DAYS",
    "ADDRESS_DAYS",
    "TOKEN_DAYS",
    "PERFORMANCE_DAYS",
    "KEY_DAYS",
):
    if (_number := env.int(f"EXPORTS_{_name}", None)) is not None:
        globals()[f"EXPORTS_{_name}"] = _number
for _name in ("MEMORY_SOFT_LIMIT_MB", "MEMORY_HARD_LIMIT_MB"):
    if (_number := env.int(f"EXPORT_{_name}", None)) is not None:
        globals()[f"EXPORTS_{_name}"] = _number
if (_rate := env.str("EXPORTS_RATE")) is not None:  # empty: no limit
    EXPORTS_RATE = _rate
    try:
        parse_rate(_rate)
    except ValueError as error:
        raise ImproperlyConfigured(str(error)) from error
EXPORTS_WEBHOOK_ALLOW_PRIVATE = env.bool("EXPORTS_WEBHOOK_ALLOW_PRIVATE", False)
if EXPORTS_WEBHOOK_ALLOW_PRIVATE and not DEBUG:
    raise ImproperlyConfigured("EXPORTS_WEBHOOK_ALLOW_PRIVATE is set: webhooks would reach into your own network.")

EXPORTS_METRICS_TOKEN = env.str("EXPORTS_METRICS_TOKEN", "")
EXPORTS_PUBLIC_SCHEMA = env.bool("EXPORTS_PUBLIC_SCHEMA", False)
EXPORTS_CLEAR_SESSIONS = True

# Mail

vars().update(
    dj_email_url.parse(env.str("EMAIL_URL", "console:" if DEBUG else "") or required("EMAIL_URL", desk="console:"))
)
EMAIL_TIMEOUT: int = globals().get("EMAIL_TIMEOUT") or 10  # seconds of one command; EMAIL_URL may end with ?timeout=
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", "") or "exports@localhost"
SERVER_EMAIL = env.str("SERVER_EMAIL", "") or DEFAULT_FROM_EMAIL  # sender of mails to the operators
EMAIL_SUBJECT_PREFIX = "[Exports] "  # of mails to the operators
OPERATORS: list[str] = env.list("ADMINS", [])
ADMINS = [("Operator", address) for address in OPERATORS]

# Logs: JSON lines in production, readable at a desk.

DJANGO_STRUCTLOG_TRUST_UPSTREAM_REQUEST_ID = True  # our own middleware in front lets none through that is not sane

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"()": "exports_app.conf.log_formatter", "json": not DEBUG},
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {
        "django_structlog": {"level": "WARNING"},
        "botocore": {"level": "WARNING"},
        "boto3": {"level": "WARNING"},
        "psycopg.pool": {"level": "WARNING"},  # three lines for each request else
        "uvicorn.access": {"handlers": ["console"], "propagate": False},  # else past our formatter, with its tokens
    },
}
