"""Faults of those who are told."""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from chaos.catalogue import fault
from chaos.processes import broker
from chaos.scene import Scene, demo
from chaos.stores import completed
from exports_app.choices import Delivery, WebhookEvent
from exports_app.models import ExportJob, ExportNotification, ExportWebhook
from exports_app.webhooks import new_secret

SLOW_SECONDS = 2.0
ANSWERS = {"/busy": [503, 204], "/redirect": [302], "/gone": [410]}


@fault(
    "C31",
    "webhook addresses that are private, slow, busy, gone or redirect; the broker emptied",
    "no private address is called, no redirect followed; each tried again under its one id",
)
def told(scene: Scene) -> None:
    with _receiver() as (port, calls):
        private = [
            _webhook(f"{host}:{port}/private") for host in ("http://127.0.0.1", "http://localhost", "http://[::1]")
        ]
        _export(scene)
        scene.until("the refusals", lambda: _settled(private), 60)
        scene.expect(not calls, f"a private address was called: {dict(calls)}")
        reasons = set(ExportNotification.objects.filter(webhook__in=private).values_list("attempts", "status"))
        scene.expect(reasons == {(1, Delivery.FAILED)}, f"{reasons}")
        _forget()
        scene.site.restart_workers({"EXPORTS_WEBHOOK_ALLOW_PRIVATE": "1", "DEBUG": "1"})
        hooks = {path: _webhook(f"http://127.0.0.1:{port}/{path}") for path in ("slow", "busy", "redirect", "gone")}
        settled = [hooks[path] for path in ("slow", "busy", "gone")]
        _export(scene)
        broker().flushall()  # the bells are lost; the rows are not
        scene.until("the deliveries", lambda: _settled(settled) and len(calls["/redirect"]) > 1, 90)
        _forget()
    scene.notes.append(", ".join(f"{path} {len(ids)}" for path, ids in sorted(calls.items())))
    scene.expect("/target" not in calls, "a redirect was followed")
    scene.expect(all(len(set(ids)) == 1 for ids in calls.values()), f"more than one id: {dict(calls)}")
    scene.expect([len(calls[path]) for path in ("/slow", "/busy", "/gone")] == [1, 2, 1], f"{dict(calls)}")


def _webhook(url: str) -> ExportWebhook:
    return ExportWebhook.objects.create(owner=demo(), url=url, events=WebhookEvent.values, secret=new_secret())


def _forget() -> None:
    ExportWebhook.objects.all().delete()


def _export(scene: Scene) -> None:
    body = {"resource": "customers", "limit": 100, "notify": {"webhooks": True}}
    status, answer, _ = scene.site.call("POST", "/api/v1/exports/", os.environ["CHAOS_TOKEN"], body)
    scene.expect(status == 202, f"{status} {answer}")
    scene.jobs.append(ExportJob.objects.get(pk=answer["id"]))
    completed(scene)


def _settled(webhooks: list[ExportWebhook]) -> bool:
    notices = ExportNotification.objects.filter(webhook__in=webhooks)
    return notices.count() == len(webhooks) and not notices.filter(status=Delivery.PENDING).exists()


@contextmanager
def _receiver() -> Iterator[tuple[int, dict[str, list[str]]]]:
    """A server of this machine: its port, and the ids of the deliveries by path."""
    calls: dict[str, list[str]] = defaultdict(list)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            calls[self.path].append(self.headers["webhook-id"])
            if self.path == "/slow":
                time.sleep(SLOW_SECONDS)
            answers = ANSWERS.get(self.path, [204])
            self.send_response(answers[min(len(calls[self.path]), len(answers)) - 1])
            self.send_header("location", "/target")
            self.send_header("content-length", "0")
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield int(server.server_address[1]), calls
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
