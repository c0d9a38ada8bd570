"""Fields of bodies that look at how much there is before they look at each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from exports_app.errors import MOST_PROBLEMS

MAX_NAMES = 1_000
"""Names in an object; no resource has so many filters or parameters."""
MAX_OBJECT_BYTES = 65_536
"""Of parameters, and of a preset, as JSON."""


class Anything(serializers.JSONField):
    """Any value, as the parser gave it."""

    def to_internal_value(self, data: Any) -> Any:
        return data


class ShortText(serializers.CharField):
    """A text whose length is looked at first: DRF's validators look at each character, 50 ms for 1 MiB."""

    def __init__(self, *, max_length: int, **values: Any) -> None:
        self._longest = max_length
        super().__init__(max_length=max_length, **values)

    def to_internal_value(self, data: Any) -> str:
        if isinstance(data, str) and len(data) > self._longest:
            self.fail("max_length", max_length=self._longest)
        return super().to_internal_value(data)


class BoundedList(serializers.ListField):
    """A list whose length is looked at first, and the first ``MOST_PROBLEMS`` of whose problems are named."""

    def __init__(self, *, max_length: int, **values: Any) -> None:
        super().__init__(max_length=max_length, **values)

    def to_internal_value(self, data: Any) -> list[Any]:
        assert self.max_length is not None  # noqa: S101 - given above
        if isinstance(data, list) and len(data) > self.max_length:
            message = f"Give {self.max_length:,} at most; these are {len(data):,}."
            raise serializers.ValidationError(message, code="max_length")
        found: list[Any] = super().to_internal_value(data)
        return found

    def run_child_validation(self, data: list[Any]) -> list[Any]:
        values: list[Any] = []
        wrong: dict[Any, Any] = {}
        for number, item in enumerate(data):
            try:
                values.append(self.child.run_validation(item))
            except serializers.ValidationError as error:
                wrong[number] = error.detail
                if len(wrong) >= MOST_PROBLEMS:
                    break
        if wrong:
            raise serializers.ValidationError(wrong)
        return values


class BoundedObject(serializers.DictField):
    """An object of ``MAX_NAMES`` names at most; with ``max_bytes`` also of so many bytes as JSON."""

    def __init__(self, *, max_bytes: int | None = None, **values: Any) -> None:
        self._max_bytes = max_bytes
        super().__init__(**values)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if isinstance(data, Mapping) and len(data) > MAX_NAMES:
            raise serializers.ValidationError(f"Give {MAX_NAMES:,} names at most; these are {len(data):,}.")
        if self._max_bytes is not None and (size := json_bytes(data)) > self._max_bytes:
            raise serializers.ValidationError(f"These are {size:,} bytes as JSON; {self._max_bytes:,} are allowed.")
        found: dict[str, Any] = super().to_internal_value(data)
        return found


def json_bytes(value: Any) -> int:
    """How long a value is as compact JSON, characters as they are."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))
