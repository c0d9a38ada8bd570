"""What the form of a new export offers beyond filters: order and headers of columns, options, ids, presets, again."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from exports_app.models import ExportJob, ExportPreset
from tests.web_pages import controls, make_job, text

PLAIN: dict[str, Any] = {"format": "csv", "columns": ["id", "email"]}


def columns_of(page: Any) -> list[str]:
    """Chosen columns as the form has them, in order."""
    return re.findall(r'name="columns" value="(\w+)"[^>]* checked', page.content.decode())


def test_columns_come_in_the_order_they_are_sent_with_the_headers_they_are_given(browser: Client) -> None:
    browser.post(
        "/exports/new/customers/", PLAIN | {"columns": ["email", "id"], "label-id": "Number", "label-email": ""}
    )
    assert ExportJob.objects.get().columns == [{"name": "email", "label": "Email"}, {"name": "id", "label": "Number"}]


def test_without_scripts_the_places_give_the_order(browser: Client) -> None:
    places = {"position-id": "3", "position-email": "1", "position-name": "2"}
    browser.post("/exports/new/customers/", PLAIN | {"columns": ["id", "name", "email"]} | places)
    assert [each["name"] for each in ExportJob.objects.get().columns] == ["email", "name", "id"]


def test_a_preview_without_scripts_keeps_the_places(browser: Client) -> None:
    places = {"position-id": "2", "position-email": "1", "preview": "1"}
    page = browser.post("/exports/new/customers/", PLAIN | places)
    assert columns_of(page) == ["email", "id"]
    assert not ExportJob.objects.exists()


def test_a_header_that_is_too_long_is_said_at_its_column(browser: Client) -> None:
    page = browser.post("/exports/new/customers/", PLAIN | {"label-email": "x" * 201})
    assert page.status_code == 400
    assert "error-label-email" in controls(page)


def test_options_that_the_format_heeds_are_sent_and_others_are_not(browser: Client) -> None:
    chosen = {"option-delimiter": ";", "option-bom": "on", "option-header": "on", "option-truncate_cells": "on"}
    browser.post("/exports/new/customers/", PLAIN | chosen | {"option-timezone": "Europe/Berlin"})
    options = ExportJob.objects.get().options
    assert (options["delimiter"], options["bom"], options["header"]) == (";", True, False)
    assert options["timezone"] == "Europe/Berlin"
    assert options["escape_formulas"] is True
    assert "truncate_cells" not in options


def test_a_wrong_option_is_said_at_its_control(browser: Client) -> None:
    page = browser.post("/exports/new/customers/", PLAIN | {"option-timezone": "Mars/Olympus"})
    assert page.status_code == 400
    assert "error-option-timezone" in controls(page)
    assert "Mars/Olympus" in text(page)


def test_a_small_file_is_kept_where_that_is_asked_for(browser: Client) -> None:
    answer = browser.post("/exports/new/customers/", PLAIN | {"keep": "1"})
    job = ExportJob.objects.get()
    assert answer["Location"] == f"/exports/{job.pk}/"
    assert (job.strategy, job.status) == ("background", "queued")


def test_chosen_ids_narrow_the_rows(browser: Client) -> None:
    browser.post("/exports/new/customers/", PLAIN | {"ids": "7, 9\n11"})
    assert ExportJob.objects.get().ids == ["7", "9", "11"]


def test_data_that_is_no_table_offers_no_ids(browser: Client) -> None:
    assert "ids" not in controls(browser.get("/exports/new/test_data/"))
    assert "ids" in controls(browser.get("/exports/new/customers/"))


def test_a_mail_is_offered_to_who_has_an_address_and_asked_for_by_a_box(browser: Client, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(email="")
    assert "notify-email" not in controls(browser.get("/exports/new/customers/"))
    User.objects.filter(pk=alice.pk).update(email="alice@example.com")
    assert "notify-email" in controls(browser.get("/exports/new/customers/"))
    browser.post("/exports/new/customers/", PLAIN | {"email": "on"})
    assert ExportJob.objects.get().notify == {"email": True}


# Presets


def test_a_form_is_saved_as_a_preset_and_shown_with_its_settings_again(browser: Client, alice: User) -> None:
    chosen = {
        "format": "ndjson",
        "compression": "gzip",
        "columns": ["name", "id"],
        "label-name": "Who",
        "filter-country_code": ["DE", "FR"],
        "filter-signup_date_after": "2024-01-01",
        "option-decimal_strings": "on",
    }
    saved = browser.post("/exports/new/customers/", chosen | {"save": "1", "preset-name": "German readers"})
    preset = ExportPreset.objects.get()
    assert saved["Location"] == f"/exports/new/customers/?preset={preset.pk}"
    assert (preset.owner, preset.name, preset.format, preset.compression) == (alice, "German readers", "ndjson", "gzip")
    assert preset.columns == [{"name": "name", "label": "Who"}, "id"]
    assert preset.filters == {"country_code": ["DE", "FR"], "signup_date_after": "2024-01-01"}
    assert not ExportJob.objects.exists()

    page = browser.get(saved["Location"])
    body = page.content.decode()
    assert columns_of(page) == ["name", "id"]
    assert 'name="label-name" value="Who"' in body
    assert 'name="filter-signup_date_after" value="2024-01-01"' in body
    assert re.search(r'value="ndjson" checked', body)
    assert re.search(r'name="option-decimal_strings"[^>]* checked', body)


def test_marks_that_turn_the_direction_of_text_end_with_the_name(browser: Client) -> None:
    name = "\N{RIGHT-TO-LEFT OVERRIDE}gnorw"
    values = {"format": "csv", "columns": ["id"], "save": "1", "preset-name": name}
    said = text(browser.post("/exports/new/customers/", values, follow=True))
    assert f"The preset \N{FIRST STRONG ISOLATE}{name}\N{POP DIRECTIONAL ISOLATE} is saved." in said


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (" ", "Give the preset a name."),
        ("a\0b", "Null characters are not allowed."),
        ("W" * 101, "Ensure this value has at most 100 characters (it has 101)."),
        ("Taken", "There is a preset of this name already. Choose another name."),
    ],
)
def test_a_preset_needs_a_name_of_its_own_and_keeps_what_was_typed(
    browser: Client, alice: User, name: str, problem: str
) -> None:
    ExportPreset.objects.create(owner=alice, name="Taken", resource="customers")
    page = browser.post("/exports/new/customers/", PLAIN | {"save": "1", "preset-name": name})
    assert page.status_code == 400
    assert f"The preset is not saved. {problem}" in text(page)
    assert '<details class="card more" open>' in page.content.decode()
    assert f'name="preset-name" value="{name}"' in page.content.decode()
    assert ExportPreset.objects.count() == 1


def test_few_presets_stand_above_the_form_the_chosen_one_first(browser: Client, alice: User) -> None:
    made = [ExportPreset.objects.create(owner=alice, name=f"Preset {n}", resource="customers") for n in range(7)]
    page = browser.get(f"/exports/new/customers/?preset={made[6].pk}")
    assert "Presets Preset 6 Preset 0 Preset 1 Preset 2 Preset 3 All" in text(page)
    assert controls(page).count("preset") == 5


def test_presets_stand_on_the_first_page_and_are_deleted_by_their_owner_alone(
    browser: Client, alice: User, bob: User
) -> None:
    mine = ExportPreset.objects.create(owner=alice, name="Mine", resource="customers")
    his = ExportPreset.objects.create(owner=bob, name="His", resource="customers")
    his.shared_with.add(alice)
    assert "His Customers From bob Mine Customers Share : Mine User names" in text(browser.get("/exports/new/"))
    assert browser.post(f"/exports/presets/{his.pk}/delete/").status_code == 403
    assert browser.post(f"/exports/presets/{mine.pk}/delete/").status_code == 302
    assert list(ExportPreset.objects.all()) == [his]


def test_a_preset_is_shared_by_names_and_that_is_ended(browser: Client, alice: User, bob: User) -> None:
    preset = ExportPreset.objects.create(owner=alice, name="Mine", resource="customers")
    browser.post(f"/exports/presets/{preset.pk}/share/", {"people": "bob, "})
    assert list(preset.shared_with.all()) == [bob]
    assert "The preset Mine is shared with bob." in text(browser.get("/exports/new/"))
    refused = browser.post(f"/exports/presets/{preset.pk}/share/", {"people": "bob, dora"})
    assert refused.status_code == 400
    assert "There is no user dora." in text(refused)
    assert 'name="people" value="bob, dora"' in refused.content.decode()
    crowd = ", ".join(f"user{n}" for n in range(51))
    refused = browser.post(f"/exports/presets/{preset.pk}/share/", {"people": crowd})
    assert "A preset is shared with 50 users at most." in text(refused)
    assert list(preset.shared_with.all()) == [bob]
    browser.post(f"/exports/presets/{preset.pk}/share/", {"people": ""})
    assert not preset.shared_with.exists()


def test_anothers_preset_is_not_shared_on(browser: Client, alice: User, bob: User) -> None:
    preset = ExportPreset.objects.create(owner=bob, name="His", resource="customers")
    preset.shared_with.add(alice)
    assert browser.post(f"/exports/presets/{preset.pk}/share/", {"people": "charlie"}).status_code == 403
    assert list(preset.shared_with.all()) == [alice]


def test_an_earlier_export_can_be_made_again_with_its_settings(browser: Client, alice: User) -> None:
    job = make_job(
        alice,
        "expired",
        columns=[{"name": "email", "label": "Address"}],
        filters={"country_code": ["CH"]},
        options={"delimiter": ";", "header": False, "escape_formulas": True},
        row_limit=50,
    )
    assert f"/exports/new/customers/?again={job.pk}" in browser.get(f"/exports/{job.pk}/").content.decode()
    page = browser.get(f"/exports/new/customers/?again={job.pk}")
    body = page.content.decode()
    assert columns_of(page) == ["email"]
    assert 'name="label-email" value="Address"' in body
    assert re.search(r'value="CH"[^>]* checked', body)
    assert 'name="limit" value="50"' in body
    assert re.search(r'name="option-header"[^>]* checked', body)
    assert not re.search(r'name="option-escape_formulas"[^>]* checked', body)


def test_anothers_export_and_preset_are_not_a_start(browser: Client, bob: User) -> None:
    job = make_job(bob)
    preset = ExportPreset.objects.create(owner=bob, name="His", resource="customers")
    assert browser.get(f"/exports/new/customers/?again={job.pk}").status_code == 404
    assert browser.get(f"/exports/new/customers/?preset={preset.pk}").status_code == 404
    assert browser.get("/exports/new/customers/?preset=nonsense").status_code == 200


# The list


def test_the_list_is_narrowed_by_state_and_data(browser: Client, alice: User) -> None:
    make_job(alice, "failed")
    make_job(alice, "completed", resource="tags")
    assert text(browser.get("/exports/?status=failed")).count("Customers csv") == 0
    shown = browser.get("/exports/?status=failed")
    assert controls(shown).count("export") == 1
    assert controls(browser.get("/exports/?resource=tags")).count("export") == 1
    assert "none-found" in controls(browser.get("/exports/?resource=tags&status=failed"))
    assert controls(browser.get("/exports/?status=nonsense")).count("export") == 2


# API keys


def test_a_key_is_shown_once_works_and_is_revoked(browser: Client, client: Client, alice: User) -> None:
    page = browser.post("/exports/keys/", {"name": "nightly", "scopes": ["read"], "password": "alice"})
    token = re.search(r'value="(exk_\w+)"', page.content.decode())
    assert token
    api = Client(headers={"Authorization": f"Bearer {token[1]}"})
    assert api.get("/api/v1/exports/").status_code == 200
    listed = browser.get("/exports/keys/")
    assert token[1] not in listed.content.decode()
    assert "nightly" in text(listed)
    action = re.search(r'action="(/exports/keys/[^"]+/revoke/)"', listed.content.decode())
    assert action
    assert browser.post(action[1]).status_code == 302
    assert api.get("/api/v1/exports/").status_code == 401


def test_a_key_needs_a_name(browser: Client) -> None:
    page = browser.post("/exports/keys/", {"name": ""})
    assert page.status_code == 400
    assert "Give the key a name" in text(page)


def test_anothers_key_cannot_be_revoked(browser: Client, bob: User) -> None:
    bob_client = Client()
    bob_client.force_login(bob)
    page = bob_client.post("/exports/keys/", {"name": "his", "scopes": ["read"], "password": "bob"})
    action = re.search(r'action="(/exports/keys/[^"]+/revoke/)"', page.content.decode())
    assert action
    assert browser.post(action[1]).status_code == 404


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/exports/keys/", "name"),
        ("/exports/{job}/share/", "username"),
        ("/exports/{job}/unshare/", "username"),
        ("/exports/presets/{preset}/share/", "people"),
    ],
)
def test_text_that_no_database_stores_is_refused(browser: Client, alice: User, path: str, name: str) -> None:
    values = {"format": "csv", "columns": ["id"], "save": "1", name: "a\0b"}
    preset = ExportPreset.objects.create(owner=alice, name="Mine", resource="customers")
    answer = browser.post(path.format(job=make_job(alice).pk, preset=preset.pk), values, follow=True)
    assert "holds a NUL character" in text(answer)
    assert "a\0b" not in text(answer)


def test_addresses_that_no_database_knows_are_no_failure(browser: Client) -> None:
    assert browser.get("/exports/?resource=%00&status=%00&page=%00").status_code == 200
    assert browser.get("/exports/rows/?resource=%00").status_code == 200
    assert browser.post("/exports/keys/%00/revoke/").status_code == 404


def test_pages_may_load_nothing_from_elsewhere(browser: Client) -> None:
    policy = browser.get("/exports/")["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy + ";"
    assert "unsafe" not in policy
