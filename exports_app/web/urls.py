"""Paths of the pages, below ``/exports/``."""

from __future__ import annotations

from django.urls import path

from exports_app import bodies
from exports_app.web import create, files, keys, links, listing, pages, sharing, views

app_name = "exports"

urlpatterns = bodies.bounded(
    [
        path("", listing.home, name="home"),
        path("rows/", listing.rows, name="rows"),
        path("new/", create.new, name="new"),
        path("new/<str:name>/", create.create, name="create"),
        path("new/<str:name>/preview/", create.preview, name="preview"),
        path("presets/<uuid:id>/share/", create.share_preset, name="preset-share"),
        path("presets/<uuid:id>/leave/", create.leave, name="preset-leave"),
        path("presets/<uuid:id>/delete/", create.delete_preset, name="preset-delete"),
        path("keys/", keys.key_list, name="keys"),
        path("keys/sign-in/", keys.sign_in_again, name="keys-sign-in"),
        path("keys/<uuid:id>/revoke/", keys.revoke, name="key-revoke"),
        path("<uuid:id>/", views.detail, name="detail"),
        path("<uuid:id>/progress/", views.progress, name="progress"),
        path("<uuid:id>/download/", views.download, name="download"),
        path("<uuid:id>/file/<str:name>", files.file, name="file"),
        path("<uuid:id>/link/", links.link, name="link"),
        path("<uuid:id>/links/", links.make, name="make-link"),
        path("<uuid:id>/links/withdraw/", links.withdraw, name="withdraw-links"),
        path("<uuid:id>/share/", sharing.share, name="share"),
        path("<uuid:id>/unshare/", sharing.unshare, name="unshare"),
        path("<uuid:id>/leave/", sharing.leave, name="leave"),
        path("<uuid:id>/cancel/", views.cancel, name="cancel"),
        path("<uuid:id>/retry/", views.retry, name="retry"),
        path("<uuid:id>/delete/", views.delete, name="delete"),
    ],
    pages.refusal,
)
