"""Paths of the pages, below ``/exports/``."""

from __future__ import annotations

from django.urls import path

from exports_app.web import files, links, views

app_name = "exports"

urlpatterns = [
    path("", views.home, name="home"),
    path("rows/", views.rows, name="rows"),
    path("new/", views.new, name="new"),
    path("new/<str:name>/", views.create, name="create"),
    path("<uuid:id>/", views.detail, name="detail"),
    path("<uuid:id>/progress/", views.progress, name="progress"),
    path("<uuid:id>/download/", views.download, name="download"),
    path("<uuid:id>/file/<str:name>", files.file, name="file"),
    path("<uuid:id>/link/", links.link, name="link"),
    path("<uuid:id>/links/", links.make, name="make-link"),
    path("<uuid:id>/links/withdraw/", links.withdraw, name="withdraw-links"),
    path("<uuid:id>/cancel/", views.cancel, name="cancel"),
    path("<uuid:id>/retry/", views.retry, name="retry"),
    path("<uuid:id>/delete/", views.delete, name="delete"),
]
