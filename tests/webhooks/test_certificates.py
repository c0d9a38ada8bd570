"""Webhooks over TLS: the certificate must be that of the name, although the connection is made to a checked address."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.contrib.auth.models import User
from requests_hardened import ip_filter_adapter

from exports_app.models import ExportNotification
from tests.receiver import Receiver
from tests.webhooks.deliveries import completed, webhook_of
from workers.notify.base import Undelivered
from workers.notify.webhook import WebhookChannel

pytestmark = pytest.mark.django_db


def certificate(name: str, file: Path) -> Path:
    """A certificate for one name, signed by itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(secret + made.public_bytes(pem))
    return file


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The certificate of hooks.example, which webhooks trust; its name leads to a checked address: this machine."""
    file = certificate("hooks.example", tmp_path / "hooks.pem")
    monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", str(file))
    monkeypatch.setattr(ip_filter_adapter, "filter_host", lambda *_, **__: "127.0.0.1")
    return file


@pytest.fixture
def asked() -> list[str | None]:
    """The names that the other side was asked for (SNI)."""
    return []


@pytest.fixture
def receiver(trusted: Path, asked: list[str | None]) -> Iterator[Receiver]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trusted)
    context.sni_callback = lambda _, name, __: asked.append(name)
    with Receiver(tls=context) as server:
        yield server


def told(owner: User, url: str) -> ExportNotification:
    webhook_of(owner, url)
    completed(owner)
    return ExportNotification.objects.get()


def test_the_certificate_of_the_name_is_accepted(alice: User, receiver: Receiver, asked: list[str | None]) -> None:
    notice = told(alice, f"https://hooks.example:{receiver.port}/hook")
    assert WebhookChannel().send(notice) == 204
    [got] = receiver.received
    assert (got.headers["host"], asked) == (f"hooks.example:{receiver.port}", ["hooks.example"])


def test_the_certificate_of_another_name_is_not(alice: User, receiver: Receiver) -> None:
    notice = told(alice, f"https://other.example:{receiver.port}/hook")
    with pytest.raises(Undelivered, match="Its certificate is not valid"):
        WebhookChannel().send(notice)
    assert receiver.received == []


def test_a_certificate_that_nobody_vouches_for_is_not(
    alice: User, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        requests.adapters, "DEFAULT_CA_BUNDLE_PATH", str(certificate("hooks.example", tmp_path / "another.pem"))
    )
    notice = told(alice, f"https://hooks.example:{receiver.port}/hook")
    with pytest.raises(Undelivered, match="Its certificate is not valid"):
        WebhookChannel().send(notice)
    assert receiver.received == []
