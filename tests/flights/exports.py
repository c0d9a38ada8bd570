from __future__ import annotations

from exports_app.resources import Resource, register
from tests.flights.models import Flight


@register("flights")
class FlightExport(Resource):
    """Every departure from New York in 2013."""

    model = Flight
    key = ("time_hour", "id")
