"""``webhooks/``: addresses that are told how exports end, and what was sent there."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from exports_app import webhooks
from exports_app.api.answers import Answer, PageSerializer
from exports_app.api.fields import MAX_OBJECT_BYTES, BoundedList
from exports_app.api.lists import PAGE_PARAMETERS, answer_page
from exports_app.api.schema import refusals
from exports_app.api.serializers import StrictSerializer, iso
from exports_app.choices import Delivery, WebhookEvent
from exports_app.models import ExportNotification, ExportWebhook


class WebhookSerializer(StrictSerializer):
    """An address to be told at. Only ``url`` is needed; ``events`` are all where none are named."""

    id = serializers.UUIDField(read_only=True)
    url = serializers.URLField(max_length=2_000, help_text="Begins with https:// and leads to a public address.")
    events = BoundedList(
        child=serializers.ChoiceField(choices=WebhookEvent.choices), required=False, allow_empty=False, max_length=10
    )
    active = serializers.BooleanField(required=False)
    note = serializers.CharField(read_only=True)
    created_at = serializers.DateTimeField(read_only=True)

    def validate_events(self, value: list[str]) -> list[str]:
        return [event for event in WebhookEvent.values if event in value]


class WebhookAnswerSerializer(Answer):
    id = serializers.UUIDField()
    url = serializers.URLField()
    events = serializers.ListField(child=serializers.ChoiceField(choices=WebhookEvent.choices))
    active = serializers.BooleanField()
    note = serializers.CharField(allow_blank=True, help_text="Why it was switched off, where you did not do that.")
    former_secret_until = serializers.DateTimeField(
        allow_null=True, help_text="Until then the secret before the last rotation signs as well."
    )
    created_at = serializers.DateTimeField()


class NewWebhookSerializer(WebhookAnswerSerializer):
    """A webhook with its secret, which is shown this once."""

    secret = serializers.CharField(help_text="Signs each delivery, as Standard Webhooks has it.")


class WebhookPageSerializer(PageSerializer):
    results = WebhookAnswerSerializer(many=True)


class DeliverySerializer(Answer):
    """One message to a webhook."""

    id = serializers.UUIDField(help_text="Its webhook-id, the same at each try.")
    event = serializers.CharField()
    export = serializers.UUIDField(allow_null=True, help_text="null: a test.")
    status = serializers.ChoiceField(choices=Delivery.choices)
    attempts = serializers.IntegerField(min_value=0)
    next_attempt_at = serializers.DateTimeField(allow_null=True)
    response_status = serializers.IntegerField(allow_null=True)
    error = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    sent_at = serializers.DateTimeField(allow_null=True)


class DeliveryPageSerializer(PageSerializer):
    results = DeliverySerializer(many=True)


class WebhookListView(APIView):
    """My webhooks; a new one by POST."""

    max_body_bytes = MAX_OBJECT_BYTES

    @extend_schema(
        operation_id="webhooks_list",
        parameters=PAGE_PARAMETERS,
        responses={200: WebhookPageSerializer, **refusals(400)},
    )
    def get(self, request: Request) -> Response:
        return answer_page(self, request, webhooks.own_webhooks(request.user), webhook_json)

    @extend_schema(
        operation_id="webhooks_create",
        request=WebhookSerializer,
        responses={201: NewWebhookSerializer, **refusals(409)},
    )
    def post(self, request: Request) -> Response:
        body = WebhookSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        webhook = webhooks.create_webhook(request.user, **body.validated_data)
        return Response(webhook_json(webhook) | {"secret": webhook.secret}, status=status.HTTP_201_CREATED)


class WebhookView(APIView):
    """One webhook."""

    max_body_bytes = MAX_OBJECT_BYTES

    @extend_schema(operation_id="webhooks_retrieve", responses={200: WebhookAnswerSerializer})
    def get(self, request: Request, id: UUID) -> Response:
        return Response(webhook_json(webhooks.get_webhook(request.user, id)))

    @extend_schema(operation_id="webhooks_update", request=WebhookSerializer, responses={200: WebhookAnswerSerializer})
    def put(self, request: Request, id: UUID) -> Response:
        return self._change(request, id, {"events": WebhookEvent.values, "active": True})

    @extend_schema(
        operation_id="webhooks_partial_update", request=WebhookSerializer, responses={200: WebhookAnswerSerializer}
    )
    def patch(self, request: Request, id: UUID) -> Response:
        return self._change(request, id, None)

    @extend_schema(operation_id="webhooks_destroy", responses={204: None})
    def delete(self, request: Request, id: UUID) -> Response:
        webhooks.get_webhook(request.user, id).delete()
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _change(self, request: Request, id: UUID, defaults: dict[str, Any] | None) -> Response:
        webhook = webhooks.get_webhook(request.user, id)
        body = WebhookSerializer(data=request.data, partial=defaults is None)
        body.is_valid(raise_exception=True)
        webhooks.update_webhook(webhook, (defaults or {}) | body.validated_data)
        return Response(webhook_json(webhook))


class WebhookRotateView(APIView):
    """Give the webhook a new secret, shown this once; the one of now signs beside it for 24 hours."""

    @extend_schema(operation_id="webhooks_rotate", request=None, responses={200: NewWebhookSerializer})
    def post(self, request: Request, id: UUID) -> Response:
        webhook = webhooks.get_webhook(request.user, id)
        secret = webhooks.rotate_secret(webhook)
        return Response(webhook_json(webhook) | {"secret": secret})


class WebhookTestView(APIView):
    """Have a test sent to the webhook, once, also where it is switched off."""

    @extend_schema(operation_id="webhooks_test", request=None, responses={202: DeliverySerializer, **refusals(429)})
    def post(self, request: Request, id: UUID) -> Response:
        notice = webhooks.send_test(webhooks.get_webhook(request.user, id))
        return Response(delivery_json(notice), status=status.HTTP_202_ACCEPTED)


class DeliveryListView(APIView):
    """What was sent to the webhook, or waits to be, newest first."""

    @extend_schema(
        operation_id="webhooks_deliveries",
        parameters=PAGE_PARAMETERS,
        responses={200: DeliveryPageSerializer, **refusals(400)},
    )
    def get(self, request: Request, id: UUID) -> Response:
        webhook = webhooks.get_webhook(request.user, id)
        return answer_page(self, request, webhook.deliveries.all(), delivery_json)


def webhook_json(webhook: ExportWebhook) -> dict[str, Any]:
    """A webhook as its owner sees it: without its secret."""
    return {
        "id": str(webhook.pk),
        "url": webhook.url,
        "events": webhook.events,
        "active": webhook.active,
        "note": webhook.note,
        "former_secret_until": iso(webhooks.former_until(webhook)),
        "created_at": iso(webhook.created_at),
    }


def delivery_json(notice: ExportNotification) -> dict[str, Any]:
    """One delivery, with what came of its last try."""
    pending = notice.status == Delivery.PENDING
    return {
        "id": str(notice.pk),
        "event": notice.event,
        "export": str(notice.job_id) if notice.job_id else None,
        "status": notice.status,
        "attempts": notice.attempts,
        "next_attempt_at": iso(notice.next_attempt_at) if pending else None,
        "response_status": notice.response_status,
        "error": notice.error or None,
        "created_at": iso(notice.created_at),
        "sent_at": iso(notice.sent_at),
    }
