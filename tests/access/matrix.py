"""What each person gets where: the tables that `test_matrix` checks, one row for whoever adds a path."""

from __future__ import annotations

import re
from collections.abc import Iterator

PEOPLE = ("anonymous", "owner", "shared", "other", "staff", "operator", "admin")
STATES = ("queued", "running", "completed", "failed", "cancelled", "expired")

EXPORTS = """
GET /api/v1/exports/{id}/
    anonymous  401 401 401 401 401 401
    owner      200 200 200 200 200 410
    shared     200 200 200 200 200 410
    other      404 404 404 404 404 404
    staff      404 404 404 404 404 404
    operator   200 200 200 200 200 410
    admin      200 200 200 200 200 410
DELETE /api/v1/exports/{id}/
    anonymous  401 401 401 401 401 401
    owner      204 204 204 204 204 204
    shared     403 403 403 403 403 403
    other      404 404 404 404 404 404
    staff      404 404 404 404 404 404
    operator   204 204 204 204 204 204
    admin      204 204 204 204 204 204
POST /api/v1/exports/{id}/cancel/
    anonymous  401 401 401 401 401 401
    owner      200 200 409 409 409 409
    shared     403 403 403 403 403 403
    other      404 404 404 404 404 404
    staff      404 404 404 404 404 404
    operator   200 200 409 409 409 409
    admin      200 200 409 409 409 409
GET /api/v1/exports/{id}/download/
    anonymous  401 401 401 401 401 401
    owner      409 409 302 409 409 410
    shared     409 409 302 409 409 410
    other      404 404 404 404 404 404
    staff      404 404 404 404 404 404
    operator   409 409 403 409 409 410
    admin      409 409 302 409 409 410
GET /api/v1/exports/{id}/downloads/
    anonymous  401 401 401 401 401 401
    owner      200 200 200 200 200 200
    shared     403 403 403 403 403 403
    other      404 404 404 404 404 404
    staff      404 404 404 404 404 404
    operator   200 200 200 200 200 200
    admin      200 200 200 200 200 200
GET /api/v1/exports/{id}/events/
    anonymous  401 401 401 401 401 401
    owner      200 200 200 200 200 200
    shared     200 200 200 200 200 200
    other      404 404 404 404 404 404
    staff      404 404 404 404 404 404
    operator   200 200 200 200 200 200
    admin      200 200 200 200 200 200
POST /api/v1/exports/{id}/leave/
    anonymous  401 401 401 401 401 401
    owner      404 404 404 404 404 404
    shared     204 204 204 204 204 204
    other      404 404 404 404 404 404
    staff      404 404 404 404 404 404
    operator   404 404 404 404 404 404
    admin      404 404 404 404 404 404
POST /api/v1/exports/{id}/retry/
    anonymous  401 401 401 401 401 401
    owner      409 409 409 200 200 409
    shared     403 403 403 403 403 403
    other      404 404 404 404 404 404
    staff      404 404 404 404 404 404
    operator   409 409 409 200 200 409
    admin      409 409 409 200 200 409
GET /api/v1/exports/{id}/status/
    anonymous  401 401 401 401 401 401
    owner      200 200 200 200 200 200
    shared     200 200 200 200 200 200
    other      404 404 404 404 404 404
    staff      404 404 404 404 404 404
    operator   200 200 200 200 200 200
    admin      200 200 200 200 200 200
POST /api/v1/exports/{id}/token/
    anonymous  401 401 401 401 401 401
    owner      409 409 201 409 409 410
    shared     409 409 201 409 409 410
    other      404 404 404 404 404 404
    staff      404 404 404 404 404 404
    operator   409 409 403 409 409 410
    admin      409 409 201 409 409 410
DELETE /api/v1/exports/{id}/token/
    anonymous  401 401 401 401 401 401
    owner      204 204 204 204 204 204
    shared     403 403 403 403 403 403
    other      404 404 404 404 404 404
    staff      404 404 404 404 404 404
    operator   204 204 204 204 204 204
    admin      204 204 204 204 204 204
GET /exports/{id}/
    anonymous  302 302 302 302 302 302
    owner      200 200 200 200 200 200
    shared     200 200 200 200 200 200
    other      404 404 404 404 404 404
    staff      404 404 404 404 404 404
    operator   200 200 200 200 200 200
    admin      200 200 200 200 200 200
POST /exports/{id}/cancel/
    anonymous  302 302 302 302 302 302
    owner      302 302 302 302 302 302
    shared     403 403 403 403 403 403
    other      404 404 404 404 404 404
    staff      404 404 404 404 404 404
    operator   302 302 302 302 302 302
    admin      302 302 302 302 302 302
POST /exports/{id}/delete/
    anonymous  302 302 302 302 302 302
    owner      302 302 302 302 302 302
    shared     403 403 403 403 403 403
    other      404 404 404 404 404 404
    staff      404 404 404 404 404 404
    operator   302 302 302 302 302 302
    admin      302 302 302 302 302 302
GET /exports/{id}/download/
    anonymous  302 302 302 302 302 302
    owner      409 409 302 409 409 410
    shared     409 409 302 409 409 410
    other      404 404 404 404 404 404
    staff      404 404 404 404 404 404
    operator   409 409 403 409 409 410
    admin      409 409 302 409 409 410
GET /exports/{id}/file/{name}
    anonymous  403 403 403 403 403 403
    owner      403 403 403 403 403 403
    shared     403 403 403 403 403 403
    other      403 403 403 403 403 403
    staff      403 403 403 403 403 403
    operator   403 403 403 403 403 403
    admin      403 403 403 403 403 403
GET /exports/{id}/link/
    anonymous  200 200 200 200 200 200
    owner      200 200 200 200 200 200
    shared     200 200 200 200 200 200
    other      200 200 200 200 200 200
    staff      200 200 200 200 200 200
    operator   200 200 200 200 200 200
    admin      200 200 200 200 200 200
POST /exports/{id}/leave/
    anonymous  302 302 302 302 302 302
    owner      404 404 404 404 404 404
    shared     302 302 302 302 302 302
    other      404 404 404 404 404 404
    staff      404 404 404 404 404 404
    operator   404 404 404 404 404 404
    admin      404 404 404 404 404 404
POST /exports/{id}/link/
    anonymous  403 403 403 403 403 403
    owner      403 403 403 403 403 403
    shared     403 403 403 403 403 403
    other      403 403 403 403 403 403
    staff      403 403 403 403 403 403
    operator   403 403 403 403 403 403
    admin      403 403 403 403 403 403
POST /exports/{id}/links/
    anonymous  302 302 302 302 302 302
    owner      409 409 201 409 409 410
    shared     409 409 201 409 409 410
    other      404 404 404 404 404 404
    staff      404 404 404 404 404 404
    operator   409 409 403 409 409 410
    admin      409 409 201 409 409 410
POST /exports/{id}/links/withdraw/
    anonymous  302 302 302 302 302 302
    owner      302 302 302 302 302 302
    shared     403 403 403 403 403 403
    other      404 404 404 404 404 404
    staff      404 404 404 404 404 404
    operator   302 302 302 302 302 302
    admin      302 302 302 302 302 302
GET /exports/{id}/progress/
    anonymous  302 302 302 302 302 302
    owner      200 200 200 200 200 200
    shared     200 200 200 200 200 200
    other      404 404 404 404 404 404
    staff      404 404 404 404 404 404
    operator   200 200 200 200 200 200
    admin      200 200 200 200 200 200
POST /exports/{id}/retry/
    anonymous  302 302 302 302 302 302
    owner      302 302 302 302 302 302
    shared     403 403 403 403 403 403
    other      404 404 404 404 404 404
    staff      404 404 404 404 404 404
    operator   302 302 302 302 302 302
    admin      302 302 302 302 302 302
POST /exports/{id}/share/
    anonymous  302 302 302 302 302 302
    owner      302 302 302 302 302 302
    shared     403 403 403 403 403 403
    other      404 404 404 404 404 404
    staff      404 404 404 404 404 404
    operator   403 403 403 403 403 403
    admin      403 403 403 403 403 403
POST /exports/{id}/unshare/
    anonymous  302 302 302 302 302 302
    owner      302 302 302 302 302 302
    shared     403 403 403 403 403 403
    other      404 404 404 404 404 404
    staff      404 404 404 404 404 404
    operator   403 403 403 403 403 403
    admin      403 403 403 403 403 403
"""
"""Under each method and path, who asks: the statuses for STATES, in their order."""

ELSEWHERE = """
GET /                                      302 302 302 302 302 302 302
GET /api/docs/                             302 200 200 200 200 200 200
GET /api/schema/                           401 200 200 200 200 200 200
GET /api/v1/exports/                       401 200 200 200 200 200 200
POST /api/v1/exports/                      401 202 202 202 400 400 202
POST /api/v1/exports/download/             401 200 200 200 400 400 200
GET /api/v1/exports/events/                401 200 200 200 200 200 200
GET /api/v1/exports/performance/           401 200 200 200 200 200 200
GET /api/v1/presets/                       401 200 200 200 200 200 200
POST /api/v1/presets/                      401 201 201 201 400 400 201
GET /api/v1/presets/{id}/                  401 200 200 404 404 404 404
PUT /api/v1/presets/{id}/                  401 200 403 404 404 404 404
PATCH /api/v1/presets/{id}/                401 200 403 404 404 404 404
DELETE /api/v1/presets/{id}/               401 204 403 404 404 404 404
POST /api/v1/presets/{id}/leave/           401 404 204 404 404 404 404
GET /api/v1/resources/                     401 200 200 200 200 200 200
GET /api/v1/resources/{name}/              401 200 200 200 404 404 200
POST /api/v1/resources/{name}/estimate/    401 200 200 200 404 404 200
GET /api/v1/webhooks/                      401 200 200 200 200 200 200
POST /api/v1/webhooks/                     401 201 201 201 201 201 201
GET /api/v1/webhooks/{id}/                 401 200 404 404 404 404 404
PUT /api/v1/webhooks/{id}/                 401 200 404 404 404 404 404
PATCH /api/v1/webhooks/{id}/               401 200 404 404 404 404 404
DELETE /api/v1/webhooks/{id}/              401 204 404 404 404 404 404
GET /api/v1/webhooks/{id}/deliveries/      401 200 404 404 404 404 404
POST /api/v1/webhooks/{id}/rotate/         401 200 404 404 404 404 404
POST /api/v1/webhooks/{id}/test/           401 202 404 404 404 404 404
GET /exports/                              302 200 200 200 200 200 200
GET /exports/keys/                         302 200 200 200 200 200 200
POST /exports/keys/sign-in/                302 302 302 302 302 302 302
POST /exports/keys/{id}/revoke/            302 404 404 404 404 404 404
GET /exports/new/                          302 200 200 200 200 200 200
POST /exports/new/{name}/                  302 400 400 400 404 404 400
POST /exports/new/{name}/preview/          302 200 200 200 404 404 200
POST /exports/presets/{id}/share/          302 302 403 404 404 404 404
POST /exports/presets/{id}/leave/          302 404 302 404 404 404 404
POST /exports/presets/{id}/delete/         302 302 403 404 404 404 404
GET /exports/rows/                         302 200 200 200 200 200 200
GET /health/                               200 200 200 200 200 200 200
GET /health/ready/                         200 200 200 200 200 200 200
GET /login/                                200 302 302 302 302 302 302
GET /logout/                               405 405 405 405 405 405 405
POST /logout/                              302 302 302 302 302 302 302
GET /metrics                               401 403 403 403 403 200 200
"""
"""The statuses for PEOPLE, in their order."""


def by_export() -> Iterator[tuple[str, list[str]]]:
    """Each method and path of EXPORTS, with the lines under it."""
    for block in re.split(r"\n(?=[A-Z]+ /)", EXPORTS.strip()):
        line, *statuses = block.splitlines()
        yield line, [each.strip() for each in statuses]


def elsewhere() -> Iterator[tuple[str, list[int]]]:
    """Each method and path of ELSEWHERE, with its statuses."""
    for row in ELSEWHERE.strip().splitlines():
        method, path, *statuses = row.split()
        yield f"{method} {path}", [int(status) for status in statuses]
