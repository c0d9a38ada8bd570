"""What a request's body may be."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from exports_app import errors

MAX_DEPTH = 64
"""Lists and objects within one another; what is deeper would end in the interpreter's own bound, later."""
TOO_DEEP = f"The body nests its lists and objects more than {MAX_DEPTH} deep."


class BoundedJSONParser(JSONParser):
    """JSON of ``DATA_UPLOAD_MAX_MEMORY_SIZE`` bytes at most, which Django by itself only asks of forms."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Raises ``errors.TooLarge`` without having read more, and ``ParseError``."""
        most: int | None = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if most is not None:
            data = stream.read(most + 1)
            if len(data) > most:
                raise errors.TooLarge.of(most)
            stream = BytesIO(data)
        try:
            body = super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError(TOO_DEEP) from error
        if _is_deeper(body, MAX_DEPTH):
            raise ParseError(TOO_DEEP)
        return body


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
