"""The database is away, or not migrated: what a browser is told then, wherever in a request that is noticed."""

from __future__ import annotations

from functools import partial
from typing import Any, NoReturn

from django.db import Error, ProgrammingError
from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin
from django.utils.functional import SimpleLazyObject
from django_structlog.middlewares import RequestMiddleware

from exports_app import errors, upgrades
from exports_app.logs import log
from exports_app.web.pages import refusal


class DatabaseAwayMiddleware(MiddlewareMixin):
    """503 and a page, for views that do not see to it themselves: signing in, one-time links, the admin."""

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Called by Django for what a view raised."""
        if unmade := upgrades.explain(exception):
            log.error("export.page.not_migrated", missing=upgrades.missing())
            return refusal(unmade)
        if not errors.is_outage(exception):
            return None
        log.error("export.page.database_away", exc_info=exception)
        return refusal(errors.DatabaseAway())


class RequestLogMiddleware(RequestMiddleware):
    """Who asks is looked up for the log. Where that fails the view is told, and answers as it should."""

    @staticmethod
    def bind_user_id(request: HttpRequest) -> None:
        """Have each line of the log name the user, if there is one and the database says who."""
        try:
            RequestMiddleware.bind_user_id(request)
        except Error as error:
            if not errors.is_outage(error) and not isinstance(error, ProgrammingError):
                raise
            unknown: Any = SimpleLazyObject(partial(_again, error))
            request.user = unknown


def _again(error: Exception) -> NoReturn:
    """The same at once: another look would wait for the database as long as the first did."""
    raise error
