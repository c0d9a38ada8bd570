"""What the site's own database answers while it is full, ends or takes no writes: waited for, at no attempt's cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import django.db
import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models.functions import Now

from exports_app import errors, lifecycle, services
from exports_app.choices import EventKind, Status
from exports_app.models import ExportJob, ExportSweep
from exports_app.pipeline.sqlstates import MEANINGS, Meaning, meaning
from tests.jobs import fill_customers, make_job, request
from workers import endings, run

pytestmark = pytest.mark.django_db(transaction=True)

AWAY, BUSY, READ_ONLY, TOO_MUCH = Meaning.AWAY, Meaning.BUSY, Meaning.READ_ONLY, Meaning.TOO_MUCH


@pytest.mark.parametrize(
    ("state", "meant"),
    [
        ("53000", AWAY),
        ("53100", AWAY),  # disk full
        ("53200", AWAY),  # out of memory, or of shared memory: too many locks
        ("53300", AWAY),  # too many connections
        ("57P01", AWAY),
        ("57P02", AWAY),
        ("57P03", AWAY),
        ("57P05", AWAY),
        ("58000", AWAY),
        ("58030", AWAY),  # the disk failed
        ("08006", AWAY),
        ("08P01", AWAY),  # PgBouncer, of anything
        ("25006", READ_ONLY),
        ("25P03", BUSY),
        ("25P04", BUSY),  # transaction_timeout
        ("40001", BUSY),
        ("40P01", BUSY),
        ("53400", BUSY),  # temp_file_limit
        ("55P03", BUSY),
        ("57014", BUSY),
        ("54000", TOO_MUCH),
        ("54001", TOO_MUCH),  # deeper than the stack
        ("22012", None),
        ("23505", None),
        ("42P01", None),
        ("55000", None),
        ("XX000", None),
        (None, None),
    ],
)
def test_a_state_has_one_meaning(state: str | None, meant: Meaning | None) -> None:
    assert meaning(state) is meant


def test_each_entry_of_the_table_is_a_state_or_a_class_that_postgresql_has() -> None:
    known = set(vars(psycopg.errors)["_sqlcodes"])
    classes = {state[:2] for state in known}
    unknown = {each for each in MEANINGS if each not in known and each not in classes}
    assert unknown <= {"25P04", "57P05"}  # younger than some versions of psycopg


def raised(state: str) -> BaseException:
    """What Django raises where the database answers with this state."""
    with pytest.raises(django.db.Error) as caught, connection.cursor() as cursor:
        cursor.execute(f"DO $$BEGIN RAISE EXCEPTION USING ERRCODE = '{state}'; END$$")
    return caught.value


@pytest.mark.parametrize(
    ("state", "answer"),
    [
        ("53100", errors.DatabaseAway),
        ("53300", errors.DatabaseBusy),
        ("57P03", errors.DatabaseAway),
        ("25006", errors.DatabaseAway),
        ("25P03", errors.DatabaseBusy),
        ("25P04", errors.DatabaseBusy),
        ("54001", errors.BadQuery),
        ("42P01", errors.BadQuery),
    ],
)
def test_a_request_is_told_by_the_state_and_not_by_the_class_of_the_error(
    state: str, answer: type[errors.ExportError]
) -> None:
    assert type(errors.of_database(raised(state))) is answer


TROUBLE = """
CREATE SEQUENCE tried;
CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN IF nextval(''tried'') <= {times} THEN RAISE EXCEPTION USING ERRCODE = ''{state}''; END IF; RETURN NEW; END';
CREATE TRIGGER trouble BEFORE UPDATE ON exports_app_exportjob FOR EACH ROW
WHEN (OLD.status = 'running' AND NEW.status = '{to}') EXECUTE FUNCTION trouble();
"""
NO_TROUBLE = "DROP TRIGGER trouble ON exports_app_exportjob; DROP FUNCTION trouble; DROP SEQUENCE tried"

Trouble = Callable[..., None]


@pytest.fixture
def trouble() -> Iterator[Trouble]:
    """Has the database refuse the first ``times`` of the steps by which a job becomes ``to``."""
    made = []

    def make(state: str, *, to: str, times: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute(TROUBLE.format(state=state, to=to, times=times))
        made.append(state)

    yield make
    if made:
        with connection.cursor() as cursor:
            cursor.execute(NO_TROUBLE)


@pytest.fixture
def job(alice: User) -> Iterator[ExportJob]:
    fill_customers(10)
    asked = services.request_export(alice, request())[0]
    yield asked
    asked.refresh_from_db()
    services.discard_file(asked)


STATES = ["53000", "53100", "53200", "57P01", "57P03", "58030", "25006", "25P03", "25P04", "40001"]


@pytest.mark.parametrize("state", STATES)
def test_a_file_whose_end_cannot_be_recorded_is_waited_for(job: ExportJob, trouble: Trouble, state: str) -> None:
    trouble(state, to="completed", times=1)
    decision = run.run_next("exports")
    assert decision is not None
    job.refresh_from_db()
    assert (job.status, job.error_code, job.failures, job.crashes) == (Status.QUEUED, "database_unavailable", 0, 0)
    assert job.outage_since is not None
    ExportJob.objects.update(next_attempt_at=Now())
    assert run.run_next("exports") is None
    job.refresh_from_db()
    assert (job.status, job.row_count, job.failures, job.crashes) == (Status.COMPLETED, 10, 0, 0)


def test_a_state_of_a_bug_ends_the_job_at_once(job: ExportJob, trouble: Trouble) -> None:
    trouble("XX000", to="completed", times=1)
    assert run.run_next("exports") is None
    job.refresh_from_db()
    assert (job.status, job.error_code) == (Status.FAILED, "internal")


@pytest.mark.parametrize("state", ["53100", "25006"])
def test_a_database_that_answers_and_takes_no_writes_is_tried_with_pauses(
    job: ExportJob, trouble: Trouble, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("workers.endings.time.sleep", pauses.append)
    trouble(state, to="queued", times=4)
    ended = endings.Endings(job)
    job = ended.job = lifecycle.claim_next("exports", "w1") or job
    ended.hand_on("slice")
    job.refresh_from_db()
    assert (job.status, pauses) == (Status.QUEUED, [0.0, 0.25, 0.5, 1.0])


def test_one_that_never_takes_them_is_given_up_after_the_time_of_an_outage(
    job: ExportJob, trouble: Trouble, settings: Any
) -> None:
    settings.EXPORTS_OUTAGE_SECONDS = 0
    trouble("53100", to="queued", times=1_000_000)
    ended = endings.Endings(lifecycle.claim_next("exports", "w1") or job)
    ended.hand_on("slice")
    job.refresh_from_db()
    assert (job.status, job.crashes) == (Status.RUNNING, 0)  # until its lease is over


# Leases that could not be renewed


@pytest.fixture
def short_lease(settings: Any) -> None:
    """So that the server need not have been started long ago."""
    settings.EXPORTS_LEASE_SECONDS = 1


def swept(*, seconds_ago: float) -> None:
    """Sweeps have come by, the last of them so long ago."""
    lifecycle.take_back_lost()
    ExportSweep.objects.update(last_at=Now() - timedelta(seconds=seconds_ago))


def lose(alice: User, *, seconds_ago: float) -> ExportJob:
    """A job that runs, and whose lease was over so long ago."""
    job = make_job(alice)
    lifecycle.claim_next("exports", "w1")
    ExportJob.objects.update(lease_expires_at=Now() - timedelta(seconds=seconds_ago))
    return job


@pytest.mark.usefixtures("short_lease")
def test_a_lease_that_ended_while_no_sweep_came_by_is_no_lost_worker(alice: User) -> None:
    swept(seconds_ago=60)
    job = lose(alice, seconds_ago=5)
    assert lifecycle.take_back_lost() == []
    ExportSweep.objects.update(began_at=Now() - timedelta(seconds=31))  # a lease later
    assert [each.pk for each in lifecycle.take_back_lost()] == [job.pk]


@pytest.mark.usefixtures("short_lease")
def test_a_lease_that_ended_while_sweeps_came_by_is_one(alice: User) -> None:
    swept(seconds_ago=15)
    job = lose(alice, seconds_ago=5)
    assert [each.pk for each in lifecycle.take_back_lost()] == [job.pk]
    assert job.events.filter(kind=EventKind.LOST).count() == 1


@pytest.mark.usefixtures("short_lease")
def test_whose_worker_was_gone_long_before_the_outage_is_taken_back_at_once(alice: User) -> None:
    swept(seconds_ago=60)
    job = lose(alice, seconds_ago=3_700)
    assert [each.pk for each in lifecycle.take_back_lost()] == [job.pk]
