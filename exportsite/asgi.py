"""The site as an ASGI application."""

from __future__ import annotations

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "exportsite.settings")
django.setup(set_prefix=False)

from exportsite.handler import SiteHandler  # noqa: E402 - needs the settings
from exportsite.streams import StreamWithoutThread  # noqa: E402 - as above

application = StreamWithoutThread(SiteHandler())
