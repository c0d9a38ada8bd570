"""What drf-spectacular cannot see by itself. Imported where the views are."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerFieldExtension


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself
    """``Authorization: Bearer <token>``."""

    target_class = "exports_app.api.permissions.BearerAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


class ColumnChoiceField(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]  # registers itself
    """A column by its name, or with a header of its own."""

    target_class = "exports_app.api.serializers.ColumnChoice"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        labelled = {
            "type": "object",
            "properties": {"name": {"type": "string"}, "label": {"type": "string", "maxLength": 200}},
            "required": ["name"],
            "additionalProperties": False,
        }
        return {"oneOf": [{"type": "string"}, labelled]}
