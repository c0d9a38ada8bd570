"""moto, which stands in for Amazon's S3, in this process and behind a proxy's address, as workers need it."""

from __future__ import annotations

import threading

from botocore.awsrequest import AWSPreparedRequest
from botocore.compat import HTTPHeaders
from moto.core.botocore_stubber import BotocoreStubber
from moto.s3.models import s3_backends

from chaos.answers import Answer, Request, Store

HOST = "https://s3.us-east-1.amazonaws.com"


class Moto(Store):
    """Nobody else is asked; what it keeps is in memory, until the next one is made."""

    def __init__(self, host: str = "", port: int = 0) -> None:
        super().__init__(host, port)
        s3_backends.reset()
        self._one_at_a_time = threading.Lock()

    def ask(self, request: Request) -> Answer:
        headers = HTTPHeaders()
        for name, value in request.headers.items():
            headers[name] = value
        asked = AWSPreparedRequest(request.method, HOST + request.path, headers, request.body, False)
        with self._one_at_a_time:
            given = BotocoreStubber().process_request(asked)
        if given is None:
            return Answer(status=404)
        status, found, body = given
        return Answer(
            status=status,
            headers={str(name): str(value) for name, value in found.items()},
            body=body.encode() if isinstance(body, str) else bytes(body or b""),
        )
