"""The site as an ASGI application."""

from __future__ import annotations

import gc
import os

import django
from django.urls import resolve

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "exportsite.settings")
django.setup(set_prefix=False)

from exports_app import dispatch, storage  # noqa: E402 - needs the settings
from exportsite.bodies import BoundedBodies  # noqa: E402 - as above
from exportsite.handler import SiteHandler  # noqa: E402 - as above
from exportsite.streams import StreamWithoutThread  # noqa: E402 - as above

# Before the first request, as all that come then would wait for it, and for each other.
resolve("/")
storage.prepare()
dispatch.prepare()
# What is loaded now stays; a look through all of it for garbage makes whoever asks just then wait.
gc.collect()
gc.freeze()

application = BoundedBodies(StreamWithoutThread(SiteHandler()))
