"""The site's settings, with limits that a fault can reach within seconds."""

from __future__ import annotations

import os

from exports_app.pipeline.sinks.s3 import client_config
from exportsite.settings import *  # noqa: F403
from exportsite.settings import CELERY_BROKER_TRANSPORT_OPTIONS, STORAGES

STORAGES["exports"]["OPTIONS"]["client_config"] = client_config(read_timeout=10)
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 2.0
if seconds := os.environ.get("CHAOS_VISIBILITY_SECONDS"):
    CELERY_BROKER_TRANSPORT_OPTIONS["visibility_timeout"] = int(seconds)
    CELERY_BROKER_TRANSPORT_OPTIONS["unacked_restore_interval"] = 1
if seconds := os.environ.get("CHAOS_SOFT_SECONDS"):
    CELERY_TASK_SOFT_TIME_LIMIT = int(seconds)
if seconds := os.environ.get("CHAOS_HARD_SECONDS"):
    CELERY_TASK_TIME_LIMIT = int(seconds)
    del CELERY_TASK_SOFT_TIME_LIMIT  # the hard one only counts behind the soft one
if seconds := os.environ.get("CHAOS_STATEMENT_SECONDS"):
    EXPORTS_STATEMENT_TIMEOUT = int(seconds)
