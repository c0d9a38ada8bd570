"""Mails about what somebody else did to an export: one for each act, one for many at once, none to who wants none."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.test import Client
from django.utils import timezone

from exports_app import acts, downloads, errors, services
from exports_app.access import SYSTEM
from exports_app.choices import Delivery, Status
from exports_app.models import ExportJob, ExportNotification
from tests.conftest import OPERATE, make_user
from tests.jobs import make_job
from tests.rights.conftest import RIGHTS, grant
from tests.rights.test_tables_of_a_file import As
from workers import notify

pytestmark = pytest.mark.django_db(transaction=True)
SECRET = "Schmidt"


@pytest.fixture(autouse=True)
def addresses(settings: object) -> None:
    settings.EXPORTS_SITE_URL = "https://exports.example"  # type: ignore[attr-defined]


def wanted(owner: User, **values: object) -> ExportJob:
    """An export whose owner wants mail."""
    return make_job(owner, notify={"email": True}, filters={"name": SECRET}, ids=[4711], **values)


def failed(owner: User) -> ExportJob:
    return wanted(owner, status=Status.FAILED, error_code="bad_key", error_detail=f"{SECRET} twice.")


def opener() -> User:
    """Operates, and may read the workbook of these tests."""
    rights = tuple(each.partition(".")[2] for each in RIGHTS)
    return make_user("opener", permissions=(*OPERATE, "download_others", *rights), is_staff=True)


def mails() -> list[EmailMultiAlternatives]:
    while notify.notify_next():
        pass
    return [message for message in mail.outbox if isinstance(message, EmailMultiAlternatives)]


def subjects() -> list[str]:
    return [str(message.subject) for message in mails()]


def test_the_owner_reads_who_did_what_and_why_and_nothing_of_the_rows(alice: User, olga: User) -> None:
    job = wanted(alice)
    services.cancel_export(job, by=olga, reason="The database is being moved.")
    (message,) = mails()
    assert (message.to, message.subject) == (["alice@example.com"], "olga cancelled your export of Customers")
    assert message.body == (
        "olga cancelled your export of Customers.\n\n"
        "Reason: The database is being moved.\n"
        f"https://exports.example/exports/{job.pk}/\n\n"
    )
    ((html, _),) = message.alternatives
    for text in (str(html), str(message.body)):
        assert "The database is being moved." in text
        assert f"https://exports.example/exports/{job.pk}/" in text
        assert SECRET not in text
        assert "4711" not in text


def test_each_act_has_a_sentence_of_its_own(alice: User, olga: User) -> None:
    services.cancel_export(wanted(alice), by=olga)
    services.retry_export(failed(alice), by=olga)
    services.delete_export(failed(alice), by=olga)
    downloads.withdraw(wanted(alice), by=olga)
    assert subjects() == [
        "olga cancelled your export of Customers",
        "olga started your export of Customers again",
        "olga removed your export of Customers",
        "olga ended the links to the file of your export of Customers",
    ]


def test_who_opens_or_links_anothers_file_is_told_to_its_owner(job: ExportJob, as_user: As) -> None:
    ExportJob.objects.filter(pk=job.pk).update(notify={"email": True})
    operator = as_user(opener())
    assert operator.get(f"/api/v1/exports/{job.pk}/download/").status_code == 302
    assert operator.post(f"/api/v1/exports/{job.pk}/token/").status_code == 201
    assert subjects() == [
        "opener fetched the file of your export of Groups",
        "opener made a link to the file of your export of Groups",
    ]


def test_what_receivers_do_with_what_was_shared_is_no_news(job: ExportJob, bob: User, as_user: As) -> None:
    ExportJob.objects.filter(pk=job.pk).update(notify={"email": True})
    assert as_user(bob).get(f"/api/v1/exports/{job.pk}/download/").status_code == 302
    assert as_user(bob).post(f"/api/v1/exports/{job.pk}/token/").status_code == 201
    assert subjects() == []


def test_a_project_that_lets_others_share_has_it_told(alice: User, bob: User, charlie: User, settings: object) -> None:
    settings.EXPORTS_ACCESS = "tests.rights.tenants.EverybodyShares"  # type: ignore[attr-defined]
    job = wanted(alice)
    services.share_export(job, "charlie", by=bob)
    services.unshare_export(job, "charlie", by=bob)
    services.unshare_export(job, "charlie", by=bob)  # it is shared with nobody any more, so nothing is told
    assert subjects() == ["bob shared your export of Customers", "bob ended a share of your export of Customers"]


def test_the_site_itself_and_who_has_left_stand_as_such(alice: User, olga: User) -> None:
    services.cancel_export(wanted(alice), by=SYSTEM, reason="Closed for the night.")
    services.cancel_export(wanted(alice), by=olga)
    olga.delete()
    assert subjects() == [
        "The site cancelled your export of Customers",
        "A former user cancelled your export of Customers",
    ]


def test_who_wants_no_mail_and_who_acts_on_their_own_has_none(alice: User, olga: User) -> None:
    services.cancel_export(make_job(alice), by=olga)
    services.cancel_export(wanted(alice), by=alice)
    assert subjects() == []
    assert ExportNotification.objects.count() == 0


def test_an_act_that_fails_is_told_to_nobody(alice: User, olga: User) -> None:
    done = wanted(alice, status=Status.COMPLETED, completed_at=timezone.now(), row_count=1, file_size=1)
    with pytest.raises(errors.Conflict):
        services.cancel_export(done, by=olga)
    assert ExportNotification.objects.count() == 0


def test_of_an_export_that_its_owner_removed_since_no_mail_goes(alice: User, olga: User) -> None:
    job = failed(alice)
    downloads.withdraw(job, by=olga)
    services.delete_export(job, by=alice)
    assert subjects() == []
    assert ExportNotification.objects.get().error == "The export was deleted before its mail was sent."


def test_a_reason_breaks_out_of_no_line_of_the_mails_head(alice: User) -> None:
    eve = make_user("eve\u202e", permissions=OPERATE)
    services.cancel_export(wanted(alice), by=eve, reason="<b>x</b>\r\nBcc: all@example.com")
    (message,) = mails()
    assert (message.bcc, message.to) == ([], ["alice@example.com"])
    assert message.subject == "\u2068eve\u202e\u2069 cancelled your export of Customers"
    assert "&lt;b&gt;x&lt;/b&gt;" in str(message.alternatives[0][0])


@pytest.mark.parametrize(("count", "mailed"), [(5, 5), (6, 1)])
def test_many_acts_at_once_are_one_mail_and_few_are_one_each(
    alice: User, olga: User, client: Client, count: int, mailed: int
) -> None:
    jobs = [failed(alice) for _ in range(count)]
    client.force_login(olga)
    data = {"action": "delete_file", "_selected_action": [str(job.pk) for job in jobs], "reason": "Too large."}
    client.post("/admin/exports_app/exportjob/", data)
    sent = mails()
    assert len(sent) == mailed
    assert all(message.to == ["alice@example.com"] and "Too large." in str(message.body) for message in sent)
    told = "\n".join(str(message.body) for message in sent)
    assert all(f"/exports/{job.pk}/" in told for job in jobs)
    if mailed == 1:
        assert sent[0].subject == "olga changed 6 of your exports"
        assert str(sent[0].body).count("olga removed your export of Customers.") == 6


def test_each_owner_has_a_mail_about_their_own_alone(alice: User, bob: User, olga: User, client: Client) -> None:
    jobs = [failed(alice) for _ in range(6)] + [failed(bob)]
    client.force_login(olga)
    data = {"action": "retry", "_selected_action": [str(job.pk) for job in jobs]}
    client.post("/admin/exports_app/exportjob/", data)
    assert {message.to[0]: str(message.subject) for message in mails()} == {
        "alice@example.com": "olga changed 6 of your exports",
        "bob@example.com": "olga started your export of Customers again",
    }


def test_a_mail_about_very_many_names_fifty_and_counts_the_others(alice: User, olga: User) -> None:
    with acts.at_once():
        for _ in range(52):
            services.cancel_export(wanted(alice), by=olga)
    (message,) = mails()
    assert str(message.body).count("https://exports.example/exports/") == 50
    assert "2 more are in your list of exports." in str(message.body)
    assert message.subject == "olga changed 52 of your exports"


def test_acts_whose_process_ends_before_they_were_gathered_are_told_one_by_one(
    alice: User, olga: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exports_app.notifications.gather_acts", lambda notices: None)
    with acts.at_once():
        for _ in range(6):
            services.cancel_export(wanted(alice), by=olga)
    assert not notify.notify_next(), "they wait to be gathered"
    ExportNotification.objects.update(next_attempt_at=timezone.now())
    assert len(mails()) == 6
    assert set(ExportNotification.objects.values_list("status", flat=True)) == {Delivery.SENT}


def test_acts_within_one_request_that_fails_midway_are_told_all_the_same(alice: User, olga: User) -> None:
    def fail_midway() -> None:
        with acts.at_once():
            services.cancel_export(wanted(alice), by=olga)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_midway()
    assert subjects() == ["olga cancelled your export of Customers"]


def test_the_owner_of_no_permission_any_more_is_told_too(alice: User, olga: User) -> None:
    job = wanted(grant(alice))
    services.cancel_export(job, by=olga)
    assert subjects() == ["olga cancelled your export of Customers"]
