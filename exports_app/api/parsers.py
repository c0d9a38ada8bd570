"""What a request's body may be."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import IO, Any

from django.conf import settings
from rest_framework.parsers import JSONParser

from exports_app import errors


class BoundedJSONParser(JSONParser):
    """JSON of ``DATA_UPLOAD_MAX_MEMORY_SIZE`` bytes at most, which Django by itself only asks of forms."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Raises ``errors.TooLarge`` without having read more."""
        most: int | None = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if most is None:
            return super().parse(stream, media_type, parser_context)
        data = stream.read(most + 1)
        if len(data) > most:
            raise errors.TooLarge.of(most)
        return super().parse(BytesIO(data), media_type, parser_context)
