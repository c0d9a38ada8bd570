"""``manage.py create_export_key``: a key for a service account."""

from __future__ import annotations

from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from exports_app.models import ApiKey
from tests.api_keys.making import client_with


def create(*words: str) -> tuple[str, str]:
    """What it prints, and what it says besides."""
    out, err = StringIO(), StringIO()
    call_command("create_export_key", *words, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_it_prints_the_key_once_and_nothing_else(alice: User) -> None:
    printed, said = create(
        "alice", "--scope", "read", "--scope", "export", "--resource", "tags", "--days", "30", "--name", "ci"
    )
    key = ApiKey.objects.get()
    assert (key.user, key.name, key.scopes, key.resources) == (alice, "ci", ["read", "export"], ["tags"])
    assert f"alice has the key {key.pk}; it ends {key.expires_at:%Y-%m-%d}. It is not shown again:" in said
    assert printed == printed.strip() + "\n"
    client = client_with(printed.strip())
    assert [each["name"] for each in client.get("/api/v1/resources/").json()] == ["tags"]
    assert client.get("/api/v1/webhooks/").status_code == 403


def test_a_service_account_needs_no_password(alice: User) -> None:
    alice.set_unusable_password()
    alice.save()
    printed, _ = create("alice", "--scope", "read")
    assert client_with(printed.strip()).get("/api/v1/exports/").status_code == 200


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nobody", "--scope", "read"], "There is no user nobody."),
        (["alice", "--scope", "raed"], "Unknown scope raed. Did you mean read?"),
        (["alice", "--scope", "read", "--resource", "tgas"], "Unknown resource tgas. Did you mean tags?"),
        (["alice", "--scope", "read", "--days", "366"], "A key lives 1 to 365 days."),
        (["alice", "--scope", "read", "--name", ""], "Give the key a name, so that you know later what it is for."),
        (["alice"], "Error: the following arguments are required: --scope"),
    ],
)
def test_what_is_wrong_is_named_and_no_key_is_made(alice: User, words: list[str], sentence: str) -> None:
    with pytest.raises(CommandError) as refused:
        create(*words)
    assert str(refused.value) == sentence
    assert not ApiKey.objects.exists()
