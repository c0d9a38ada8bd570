"""HTTP proxies in front of a store that give the answers of other stores, where those differ."""

from __future__ import annotations

import hashlib
import http.client
import re
import secrets
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

HOP = {"connection", "transfer-encoding", "keep-alive", "expect"}
"""Headers of one connection, not of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a client asks of the store."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = field(repr=False)

    @property
    def query(self) -> dict[str, str]:
        found = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        return {name: values[0] for name, values in found.items()}

    def header(self, name: str) -> str:
        return next((value for each, value in self.headers.items() if each.lower() == name), "")

    @property
    def call(self) -> str:
        """Name of the call, for those of multipart uploads and of the bucket; else the method."""
        query = self.query
        if not urlsplit(self.path).path.strip("/").partition("/")[2] and "uploads" not in query:
            return f"Bucket {self.method} {'lifecycle' if 'lifecycle' in query else ''}".strip()
        if "uploads" in query:
            return {"POST": "CreateMultipartUpload", "GET": "ListMultipartUploads"}[self.method]
        if "uploadId" not in query:
            return self.method
        names = {"POST": "Complete", "DELETE": "Abort", "GET": "ListParts", "PUT": "UploadPart"}
        return names[self.method]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the client gets."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


def error(status: int, code: str, message: str = "") -> Answer:
    """An error as S3 gives it."""
    body = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Answer(status=status, headers={"Content-Type": "application/xml"}, body=body.encode())


class Store:
    """Passes everything. A subclass answers some calls itself, or changes answers; it may be asked by many threads."""

    def __init__(self, host: str, port: int) -> None:
        self.target = host, port
        self.lost: list[str] = []
        """Names of calls whose next answer does not reach the client, once each."""
        self.calls: list[str] = []

    def before(self, request: Request) -> Answer | None:
        """An answer in place of the store's; None: the store is asked."""
        return None

    def after(self, request: Request, answer: Answer) -> Answer:
        """What becomes of the store's answer."""
        return answer

    def ask(self, request: Request) -> Answer:
        """The store's own answer."""
        connection = http.client.HTTPConnection(*self.target, timeout=60)
        try:
            connection.putrequest(request.method, request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                connection.putheader(name, value)
            connection.endheaders(request.body or None)
            given = connection.getresponse()
            headers = {name: value for name, value in given.getheaders() if name.lower() not in HOP}
            return Answer(status=given.status, headers=headers, body=given.read())
        finally:
            connection.close()


class EqualParts(Store):
    """Cloudflare's R2: at the end, all parts but the last have one size, which the last does not exceed."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self.sizes: dict[str, dict[int, int]] = {}
        """By upload and number, of what was sent last."""

    def before(self, request: Request) -> Answer | None:
        if request.call == "UploadPart":
            self.sizes.setdefault(request.query["uploadId"], {})[int(request.query["partNumber"])] = len(request.body)
        if request.call == "Complete":
            *sizes, last = [size for _, size in sorted(self.sizes.get(request.query["uploadId"], {0: 0}).items())]
            if len(set(sizes)) > 1 or (sizes and last > sizes[0]):
                return error(400, "InvalidPart", "All non-trailing parts must have the same length.")
        return None


class Ceph(Store):
    """Ceph's RADOS Gateway: the parts of an upload that has ended are listed as ``NoSuchKey``."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self.ended: set[str] = set()

    def before(self, request: Request) -> Answer | None:
        if request.query.get("uploadId") not in self.ended:
            return None
        if request.call == "ListParts":
            return error(404, "NoSuchKey")
        if request.call == "Complete":
            return error(500, "InternalError")  # ceph/s3-tests#728
        return error(404, "NoSuchUpload")

    def after(self, request: Request, answer: Answer) -> Answer:
        if request.call in ("Complete", "Abort") and answer.status < 300:
            self.ended.add(request.query["uploadId"])
        return answer


class Garage(Store):
    """Garage: the ETag of a file made of parts is of the digits of their MD5s, where S3 takes the bytes."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self.parts: dict[str, dict[int, str]] = {}
        self.etags: dict[str, str] = {}
        """By path."""

    def after(self, request: Request, answer: Answer) -> Answer:
        path = urlsplit(request.path).path
        if request.call == "UploadPart":
            digest = hashlib.md5(request.body, usedforsecurity=False).hexdigest()
            self.parts.setdefault(request.query["uploadId"], {})[int(request.query["partNumber"])] = digest
        if request.call == "Complete" and answer.status < 300:
            digests = [digest for _, digest in sorted(self.parts[request.query["uploadId"]].items())]
            whole = hashlib.md5("".join(digests).encode(), usedforsecurity=False).hexdigest()
            self.etags[path] = f'"{whole}-{len(digests)}"'
        if request.call == "HEAD" and path in self.etags:
            headers = {name: value for name, value in answer.headers.items() if name.lower() != "etag"}
            return replace(answer, headers={**headers, "ETag": self.etags[path]})
        return answer


class ForeignEtags(Store):
    """A store that encrypts all it gets and says so nowhere: ETags look like MD5s and are others each time.

    It compares ``Content-MD5`` with what it got, as S3 does, and knows its own ETags again.
    """

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self.given: dict[bytes, bytes] = {}
        """Ours to the store's, both as digits."""
        self.listed: dict[bytes, bytes] = {}
        """The store's to what was given for it last; of files, which are not sent again."""

    def before(self, request: Request) -> Answer | None:
        sent = request.header("content-md5")
        if sent and sent != b64encode(hashlib.md5(request.body, usedforsecurity=False).digest()).decode():
            return error(400, "BadDigest")
        return None

    def ask(self, request: Request) -> Answer:
        if request.call == "Complete":
            known = re.sub(rb"[0-9a-f]{32}", lambda found: self.given.get(found[0], found[0]), request.body)
            request = replace(request, body=known)
        return super().ask(request)

    def after(self, request: Request, answer: Answer) -> Answer:
        fresh = request.call == "UploadPart"
        headers = {
            name: self._foreign(value.encode(), fresh=fresh).decode() if name.lower() == "etag" else value
            for name, value in answer.headers.items()
        }
        body = self._foreign(answer.body, fresh=False) if request.call in ("Complete", "ListParts") else answer.body
        return replace(answer, headers=headers, body=body)

    def _foreign(self, text: bytes, *, fresh: bool) -> bytes:
        return re.sub(rb"(?<=[\"; ])[0-9a-f]{32}(?=[-\"&])", lambda found: self._other(found[0], fresh=fresh), text)

    def _other(self, etag: bytes, *, fresh: bool) -> bytes:
        if fresh or etag not in self.listed:
            other = secrets.token_hex(16).encode()
            self.given[other], self.listed[etag] = etag, other
        return self.listed[etag]


class Denying(Store):
    """A store whose policy refuses some calls, by the names that ``Request.call`` gives them."""

    def __init__(self, host: str, port: int, denied: frozenset[str] = frozenset()) -> None:
        super().__init__(host, port)
        self.denied = denied

    def before(self, request: Request) -> Answer | None:
        return error(403, "AccessDenied") if request.call in self.denied else None


@contextmanager
def serving(store: Store) -> Iterator[str]:
    """The address that answers as ``store`` does."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"store": store}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: Store

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def _answer(self) -> None:
        store = self.store
        request = Request(
            method=self.command,
            path=self.path,
            headers={name: value for name, value in self.headers.items() if name.lower() not in HOP},
            body=self.rfile.read(int(self.headers.get("Content-Length") or 0)),
        )
        store.calls.append(request.call)
        answer = store.before(request) or store.after(request, store.ask(request))
        if request.call in store.lost:
            store.lost.remove(request.call)
            self.close_connection = True
            return
        self._send(answer)

    def _send(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            if name.lower() != "content-length" or self.command == "HEAD":
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _answer

    def log_message(self, format: str, *arguments: object) -> None:
        """The tests' output is no place for it."""
