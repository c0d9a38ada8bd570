"""The site as an ASGI application."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

from exportsite.streams import StreamWithoutThread

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "exportsite.settings")

application = StreamWithoutThread(get_asgi_application())
