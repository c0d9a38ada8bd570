"""What a request's body may be."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from io import BytesIO
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.parsers import JSONParser

from exports_app import errors
from exports_app.bodies import BODY_BYTES

MAX_DEPTH = 64
"""Lists and objects within one another; what is deeper would end in the interpreter's own bound, later."""
MAX_BRACKETS = 50_000
"""Lists and objects of one body, those within texts included: each takes as long as a hundred bytes of text."""
TOO_MANY = f"The body has more than {MAX_BRACKETS:,} lists and objects."
UNSTORABLE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
"""What NUL characters and halves of surrogate pairs are written as in JSON, and whole pairs too."""
NOT_STORED = "The text holds a NUL character or half a surrogate pair, which no database stores."
TOO_DEEP = f"The body nests its lists and objects more than {MAX_DEPTH} deep."


class BoundedJSONParser(JSONParser):
    """JSON of ``max_body_bytes`` of the view at most, else ``BODY_BYTES``, and of what a project allows of forms."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Raises ``errors.TooLarge`` without having read more, and ``ParseError``."""
        own = getattr((parser_context or {}).get("view"), "max_body_bytes", BODY_BYTES)
        most = min(own, settings.DATA_UPLOAD_MAX_MEMORY_SIZE or own)
        data = stream.read(most + 1)
        if len(data) > most:
            raise errors.TooLarge.of(most)
        brackets = data.count(b"[") + data.count(b"{")
        if brackets > MAX_BRACKETS:
            raise ParseError(TOO_MANY)
        try:
            body = super().parse(BytesIO(data), media_type, parser_context)
        except RecursionError as error:
            raise ParseError(TOO_DEEP) from error
        if brackets > MAX_DEPTH and _is_deeper(body, MAX_DEPTH):
            raise ParseError(TOO_DEEP)
        if UNSTORABLE.search(data) and (wrong := _unstorable(body)):
            raise ValidationError({wrong: [NOT_STORED]})
        return body


def _unstorable(data: Any) -> str | None:
    """Name of the first field of a body in which a text stands that PostgreSQL cannot store."""
    named = data.items() if isinstance(data, dict) else [("body", data)]
    wrong = next((str(name) for name, value in named if not _is_storable({name: value})), None)
    return wrong.encode("ascii", "backslashreplace").decode() if wrong is not None else None


def _is_storable(value: Any) -> bool:
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\\u0000" not in text.replace("\\\\", "")


def _is_deeper(value: Any, most: int) -> bool:
    level = [value]
    for _ in range(most + 1):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return True
