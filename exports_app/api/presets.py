"""``presets/``: requests with a name."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from exports_app import presets
from exports_app.api.answers import Answer, PageSerializer
from exports_app.api.fields import MAX_OBJECT_BYTES, BoundedList, BoundedObject
from exports_app.api.lists import PAGE_PARAMETERS, Pages, answer_rows
from exports_app.api.schema import refusals
from exports_app.api.serializers import ColumnChoice, StrictSerializer, sheet_names
from exports_app.sharing import MAX_SHARED, leave_preset
from exports_app.validation import MAX_COLUMNS


class PresetSerializer(StrictSerializer):
    """A request with a name. ``name`` and ``resource`` are needed."""

    id = serializers.UUIDField(read_only=True)
    name = serializers.CharField(max_length=100)
    resource = serializers.CharField(max_length=100)
    columns = BoundedList(child=ColumnChoice(), required=False, allow_null=True, max_length=MAX_COLUMNS)
    filters = BoundedObject(required=False)
    format = serializers.CharField(max_length=20, required=False)
    compression = serializers.CharField(max_length=10, required=False, allow_null=True)
    options = BoundedObject(required=False)
    parameters = BoundedObject(required=False)
    sheets = sheet_names()
    shared_with = BoundedList(child=serializers.CharField(max_length=200), required=False, max_length=MAX_SHARED)
    owner = serializers.CharField(read_only=True)


class PresetAnswerSerializer(Answer):
    """A preset as you may see it: without the columns, filters and tables that are hidden from you."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    resource = serializers.CharField()
    columns = serializers.ListField(child=ColumnChoice(), allow_null=True, help_text="null: all that its user may see.")
    filters = serializers.DictField()
    format = serializers.CharField()
    compression = serializers.CharField(allow_null=True)
    options = serializers.DictField()
    parameters = serializers.DictField()
    sheets = serializers.ListField(child=serializers.CharField(), allow_null=True, help_text="null: all.")
    shared_with = serializers.ListField(child=serializers.CharField())
    owner = serializers.CharField()


class PresetPageSerializer(PageSerializer):
    results = PresetAnswerSerializer(many=True)


class PresetPages(Pages):
    """``{"next", "previous", "results"}``, by name."""

    ordering = ("name", "id")


class PresetListView(APIView):
    """My presets and those shared with me; a new one by POST."""

    max_body_bytes = MAX_OBJECT_BYTES

    @extend_schema(
        operation_id="presets_list", parameters=PAGE_PARAMETERS, responses={200: PresetPageSerializer, **refusals(400)}
    )
    def get(self, request: Request) -> Response:
        mine = presets.visible_presets(request.user)
        return answer_rows(self, request, mine, partial(presets.shown_all, request.user), PresetPages)

    @extend_schema(
        operation_id="presets_create",
        request=PresetSerializer,
        responses={201: PresetAnswerSerializer, **refusals(409)},
    )
    def post(self, request: Request) -> Response:
        body = PresetSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        preset = presets.create_preset(request.user, body.validated_data)
        return Response(presets.shown(request.user, preset), status=status.HTTP_201_CREATED)


class PresetView(APIView):
    """One preset. Only its owner changes or deletes it."""

    max_body_bytes = MAX_OBJECT_BYTES

    @extend_schema(operation_id="presets_retrieve", responses={200: PresetAnswerSerializer})
    def get(self, request: Request, id: UUID) -> Response:
        return Response(presets.shown(request.user, presets.get_preset(request.user, id)))

    @extend_schema(operation_id="presets_update", request=PresetSerializer, responses={200: PresetAnswerSerializer})
    def put(self, request: Request, id: UUID) -> Response:
        return self._change(request, id, presets.DEFAULTS)

    @extend_schema(
        operation_id="presets_partial_update", request=PresetSerializer, responses={200: PresetAnswerSerializer}
    )
    def patch(self, request: Request, id: UUID) -> Response:
        return self._change(request, id, None)

    @extend_schema(operation_id="presets_destroy", responses={204: None})
    def delete(self, request: Request, id: UUID) -> Response:
        presets.own_preset(request.user, id).delete()
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _change(self, request: Request, id: UUID, defaults: dict[str, Any] | None) -> Response:
        preset = presets.own_preset(request.user, id)
        body = PresetSerializer(data=request.data, partial=defaults is None)
        body.is_valid(raise_exception=True)
        changed = presets.update_preset(request.user, preset, (defaults or {}) | body.validated_data)
        return Response(presets.shown(request.user, changed))


class PresetLeaveView(APIView):
    """Let go of a preset that somebody shared."""

    @extend_schema(operation_id="presets_leave", request=None, responses={204: None})
    def post(self, request: Request, id: UUID) -> Response:
        leave_preset(request.user, id)
        return Response(status=status.HTTP_204_NO_CONTENT)
