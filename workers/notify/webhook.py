"""Webhooks, signed as Standard Webhooks has it, to addresses on the internet alone.

The host is looked up once for each connection, the address checked, and that very address connected to, so that a
name which changes its mind leads nowhere. Redirects are not followed, proxies of the environment not used.
"""

from __future__ import annotations

import json
import time
from contextlib import closing
from datetime import datetime
from ipaddress import IPv6Network, ip_address
from typing import Any

import requests
import urllib3
from requests_hardened import Config, HTTPSession
from requests_hardened.ip_filter import InvalidIPAddress
from requests_hardened.ip_filter_adapter import IPFilterAdapter
from standardwebhooks import Webhook

from exports_app import clock, conf, sealed, webhooks
from exports_app.models import ExportNotification, ExportWebhook
from workers.notify.base import Schedule, Undelivered

CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0
"""Longest silence of the other side."""
BODY_SECONDS = 2.0
MAX_BODY = 65_536
"""Bytes of the answer that are read, to leave the connection as HTTP wants it; nobody is shown them."""
A_DAY = Schedule(tries=8, first=5.0, factor=6.0, longest=43_200.0)
"""25 hours in all."""
ONCE = Schedule(tries=1, first=0.0, factor=1.0, longest=0.0)
GLOBAL_UNICAST = IPv6Network("2000::/3")
GONE = 410
UNREADABLE = "Switched off: its secret cannot be read any more. Rotate it, then switch the webhook on again."


class PublicAddresses(IPFilterAdapter):  # type: ignore[misc]  # ships no types
    """Beyond what the library refuses: of IPv6, only what is routed on the internet at all."""

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        host_params, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        address = ip_address(host_params["host"].strip("[]"))  # the one that will be connected to
        if address.version == 6 and address not in GLOBAL_UNICAST:
            raise InvalidIPAddress(address)
        return host_params, pool


class WebhookChannel:
    """POST to the address, until it answers with 2xx."""

    holds_row = False

    def schedule(self, notice: ExportNotification) -> Schedule:
        return A_DAY if notice.job_id else ONCE  # a test tells at once what came of it

    def send(self, notice: ExportNotification) -> int | None:
        webhook = notice.webhook
        assert webhook is not None  # noqa: S101 - a constraint of the table
        test = notice.job_id is None
        if not test and not webhook.active:
            raise Undelivered(webhook.note or "The webhook was switched off.", final=True)
        if not webhook.owner.is_active:
            raise Undelivered("The owner of the webhook is not active any more.", final=True)
        status, retry_after = _post(webhook, notice)
        if 200 <= status < 300:
            if not test:
                webhooks.clear_failures(webhook)
            return status
        if status == GONE and not test:
            webhooks.switch_off(webhook, "Switched off: the address answered 410 Gone.")
        reason = f"The address answered {status}" + (": redirects are not followed." if 300 <= status < 400 else ".")
        raise Undelivered(reason, final=status == GONE, response_status=status, retry_after=retry_after)

    def gave_up(self, notice: ExportNotification) -> None:
        if notice.webhook is not None and notice.job_id is not None:
            webhooks.count_failure(notice.webhook)


def signed(webhook: ExportWebhook, notice: ExportNotification, at: datetime) -> tuple[bytes, dict[str, str]]:
    """Body and headers. The id is that of the notification, the same at each try; the time is this try's.

    Each secret that is valid now has a signature of its own. Raises ``Undelivered`` where none can be read.
    """
    try:
        secrets = webhooks.secrets_of(webhook)
    except sealed.Unreadable:
        webhooks.switch_off(webhook, UNREADABLE)
        raise Undelivered(UNREADABLE, final=True) from None
    body = json.dumps(notice.body, ensure_ascii=False, separators=(",", ":"))
    headers = {
        "content-type": "application/json",
        "webhook-id": str(notice.pk),
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(str(notice.pk), at, body) for secret in secrets),
    }
    return body.encode(), headers


def _post(webhook: ExportWebhook, notice: ExportNotification) -> tuple[int, float]:
    """Status of the answer, and the seconds for which it wants to be left alone."""
    body, headers = signed(webhook, notice, clock.now())
    try:
        with _session() as session, closing(session.post(webhook.url, data=body, headers=headers, stream=True)) as it:
            _drain(it)
            after = it.headers.get("retry-after", "")
            return it.status_code, float(after) if after.isdecimal() else 0.0
    except InvalidIPAddress as error:
        raise Undelivered("The address is a private one, which webhooks do not reach.", final=True) from error
    except requests.exceptions.SSLError as error:
        raise Undelivered("Its certificate is not valid.") from error
    except requests.ConnectTimeout as error:
        raise Undelivered(f"No connection within {CONNECT_SECONDS:.0f} seconds.") from error
    except requests.Timeout as error:
        raise Undelivered(f"No answer within {READ_SECONDS:.0f} seconds.") from error
    except (requests.exceptions.InvalidURL, UnicodeError) as error:
        raise Undelivered("The address is not a valid one.", final=True) from error
    except requests.RequestException as error:
        raise Undelivered("No connection, or it broke.") from error


def _session() -> requests.Session:
    anywhere = conf.settings.WEBHOOK_ALLOW_PRIVATE
    config = Config(
        ip_filter_enable=False,
        ip_filter_allow_loopback_ips=False,
        never_redirect=True,
        default_timeout=(CONNECT_SECONDS, READ_SECONDS),
        user_agent_override="exports-webhooks/1",
    )
    session: requests.Session = HTTPSession(config)
    session.trust_env = False
    if not anywhere:
        session.mount("https://", PublicAddresses(is_https_proto=True))
        session.mount("http://", PublicAddresses(is_https_proto=False))
    return session


def _drain(response: requests.Response) -> None:
    """Read a short answer to its end; a long or slow one is left alone, since its status has come."""
    began, left = time.monotonic(), MAX_BODY
    try:
        while left > 0 and time.monotonic() - began < BODY_SECONDS:
            piece = response.raw.read1(left, decode_content=False)
            if not piece:
                return
            left -= len(piece)
    except (urllib3.exceptions.HTTPError, OSError):
        return
