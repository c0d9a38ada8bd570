"""The commands as an operator types them."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from exports_app.choices import Status
from exports_app.models import ExportJob
from tests.jobs import finish

committed = pytest.mark.django_db(transaction=True)


def export(*arguments: str) -> str:
    """What the command says on standard error."""
    said = io.StringIO()
    call_command("export", *arguments, stderr=said)
    return said.getvalue()


@pytest.fixture
def customers(transactional_db: None, alice: User) -> None:
    call_command("load_samples", rows=20, verbosity=0, stdout=io.StringIO())


def test_an_export_goes_to_a_file(customers: None, tmp_path: Path) -> None:
    target = tmp_path / "c.csv"
    said = export(
        "customers", "--user", "alice", "--columns", "id,country_code", "--limit", "2", "--output", str(target)
    )
    lines = target.read_text().splitlines()
    assert [lines[0], *(line.split(",")[0] for line in lines[1:])] == ['"ID",Country code', "1", "2"]
    assert said.startswith(f"2 rows, {target.stat().st_size} bytes in ")
    assert list(tmp_path.iterdir()) == [target]


def test_filters_and_options_are_given_by_name(customers: None, tmp_path: Path) -> None:
    target = tmp_path / "c.csv.gz"
    filters = ("--filter", "subscription_tier=FREE", "--filter", "subscription_tier=PRO")
    options = ("--option", "delimiter=;", "--option", "header=false", "--gzip")
    export(
        "customers", "--user", "alice", *filters, *options, "--columns", "subscription_tier", "--output", str(target)
    )
    assert set(gzip.decompress(target.read_bytes()).decode().split()) == {"FREE", "PRO"}


def test_standard_output_gets_the_bytes(customers: None, capfdbinary: Any) -> None:
    export("customers", "--user", "alice", "--columns", "id", "--limit", "1", "--output", "-")
    assert capfdbinary.readouterr().out == b'"ID"\n1\n'


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nothing", "--user", "alice"), "Unknown resource nothing."),
        (("customers", "--user", "nobody"), "There is no user nobody."),
        (("customers", "--user", "charlie"), "Unknown resource customers."),
        (("customers", "--user", "alice", "--format", "cvs"), "Unknown format cvs. Did you mean csv?"),
        (("customers", "--user", "alice", "--columns", "nmae"), "Unknown column nmae. Did you mean name?"),
        (("customers", "--user", "alice", "--filter", "tier"), "'tier' is not of the form name=value."),
        (("customers", "--user", "alice", "--option", "bom=1"), "options are not valid. bom:"),
        (("customers", "--user", "alice", "--limit", "0"), "--limit must be 1 or more."),
    ],
)
def test_wrong_use_ends_with_2_and_no_file(
    alice: User, charlie: User, tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(CommandError) as caught:
        export(*arguments, "--output", str(tmp_path / "file"))
    assert caught.value.returncode == 2
    assert sentence in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_export_ends_with_1_and_no_file(
    customers: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from exportsite.samples.exports import CustomerExport

    monkeypatch.setattr(CustomerExport, "max_rows", 5)
    with pytest.raises(CommandError) as caught:
        export("customers", "--user", "alice", "--output", str(tmp_path / "file"))
    assert caught.value.returncode == 1
    assert list(tmp_path.iterdir()) == []


def test_the_resources_are_listed_with_what_they_need(db: None, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("export_resources", no_color=True)
    listed = capsys.readouterr().out
    assert "transactions\n  columns    id, booked_at" in listed
    assert "card_number*" in listed
    assert "  key        booked_at, id\n" in listed
    assert "  most rows  500,000\n" in listed


@committed
def test_pruning_deletes_what_has_expired_and_says_so(alice: User, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("load_samples", rows=10, verbosity=0)
    job = finish(alice)
    ExportJob.objects.update(expires_at="2020-01-01T00:00:00Z")
    capsys.readouterr()
    call_command("prune_exports")
    call_command("prune_exports")
    first, second = capsys.readouterr().out.splitlines()
    assert first == "Deleted 1 expired files, 0 leftovers, 0 old exports, 0 old figures, 0 old tokens."
    assert second == "Deleted 0 expired files, 0 leftovers, 0 old exports, 0 old figures, 0 old tokens."
    job.refresh_from_db()
    assert (job.status, job.file_key) == (Status.EXPIRED, "")
