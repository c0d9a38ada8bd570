"""Paths of the API, below ``/api/v1/``."""

from __future__ import annotations

from django.http import JsonResponse
from django.urls import path, re_path

from exports_app import bodies, errors
from exports_app.api import direct, downloads, estimates, events, performance, presets, views, webhooks

app_name = "api"


def _answer(error: errors.ExportError) -> JsonResponse:
    return JsonResponse({"code": error.code, "detail": str(error)}, status=error.status)


urlpatterns = bodies.bounded(
    [
        path("resources/", views.ResourceListView.as_view(), name="resource-list"),
        path("resources/<str:name>/", views.ResourceView.as_view(), name="resource-detail"),
        path("resources/<str:name>/estimate/", estimates.EstimateView.as_view(), name="resource-estimate"),
        path("exports/", views.ExportListView.as_view(), name="export-list"),
        path("exports/download/", direct.DirectDownloadView.as_view(), name="export-direct"),
        path("exports/performance/", performance.PerformanceView.as_view(), name="export-performance"),
        path("exports/events/", events.ListEventsView.as_plain_view(), name="export-list-events"),
        path("exports/<uuid:id>/", views.ExportView.as_view(), name="export-detail"),
        path("exports/<uuid:id>/status/", views.StatusView.as_view(), name="export-status"),
        path("exports/<uuid:id>/events/", events.ExportEventsView.as_plain_view(), name="export-events"),
        path("exports/<uuid:id>/cancel/", views.CancelView.as_view(), name="export-cancel"),
        path("exports/<uuid:id>/retry/", views.RetryView.as_view(), name="export-retry"),
        path("exports/<uuid:id>/leave/", views.LeaveView.as_view(), name="export-leave"),
        path("exports/<uuid:id>/token/", downloads.TokenView.as_view(), name="export-token"),
        path("exports/<uuid:id>/download/", downloads.DownloadView.as_view(), name="export-download"),
        path("exports/<uuid:id>/downloads/", downloads.DownloadListView.as_view(), name="export-downloads"),
        path("presets/", presets.PresetListView.as_view(), name="preset-list"),
        path("presets/<uuid:id>/", presets.PresetView.as_view(), name="preset-detail"),
        path("presets/<uuid:id>/leave/", presets.PresetLeaveView.as_view(), name="preset-leave"),
        path("webhooks/", webhooks.WebhookListView.as_view(), name="webhook-list"),
        path("webhooks/<uuid:id>/", webhooks.WebhookView.as_view(), name="webhook-detail"),
        path("webhooks/<uuid:id>/rotate/", webhooks.WebhookRotateView.as_view(), name="webhook-rotate"),
        path("webhooks/<uuid:id>/test/", webhooks.WebhookTestView.as_view(), name="webhook-test"),
        path("webhooks/<uuid:id>/deliveries/", webhooks.DeliveryListView.as_view(), name="webhook-deliveries"),
        re_path(r"", views.no_such_path),
    ],
    _answer,
)
