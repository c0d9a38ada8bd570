"""Dates, datetimes and decimals as a locale has them, byte for byte."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from exports_app import errors
from exports_app.pipeline.formats import get_format
from exports_app.pipeline.formats.options import problem
from exports_app.pipeline.types import Field, Kind
from exports_app.validation import parse_options
from tests.rendering import render, render_python


def field(kind: Kind, label: str = "V", **more: Any) -> Field:
    return Field(name=label.lower(), label=label, kind=kind, **more)


GERMAN = {"locale": "de", "timezone": "Europe/Berlin", "delimiter": ";"}


def test_a_german_csv() -> None:
    kinds = (Kind.TEXT, Kind.DECIMAL, Kind.FLOAT, Kind.DATE, Kind.DATETIME, Kind.BOOLEAN)
    fields = [field(kind, kind.title()) for kind in kinds]
    query = (
        "SELECT * FROM (VALUES "
        "('Bücher; gebraucht', 1234567.50, 0.5::float8, DATE '2024-12-31', TIMESTAMPTZ '2024-12-31 11:00+00', true, 1),"
        "('Käse', -0.10, -1e-7, '2024-01-05', '2024-10-27 00:30:00+00', false, 2),"
        "(NULL, NULL, NULL, NULL, '2024-10-27 01:30:00.25+00', NULL, 3)"
        ") AS v"
    )
    assert render("csv", fields, query, options=GERMAN).decode() == (
        "Text;Decimal;Float;Date;Datetime;Boolean\n"
        '"Bücher; gebraucht";1234567,50;0,5;31.12.2024;31.12.2024 12:00:00;true\n'
        "Käse;-0,10;-1e-07;05.01.2024;27.10.2024 02:30:00 +02:00;false\n"
        ";;;;27.10.2024 02:30:00,25 +01:00;\n"
    )


@pytest.mark.parametrize(
    ("moment", "local"),
    [
        ("2024-03-31 00:59:59", "2024-03-31T01:59:59+01:00"),
        ("2024-03-31 01:00:00", "2024-03-31T03:00:00+02:00"),
        ("2024-10-27 00:00:00", "2024-10-27T02:00:00+02:00"),
        ("2024-10-27 00:59:59.999999", "2024-10-27T02:59:59.999999+02:00"),
        ("2024-10-27 01:00:00", "2024-10-27T02:00:00+01:00"),
        ("1945-06-01 12:00:00", "1945-06-01T15:00:00+03:00"),
        ("2500-07-01 12:00:00", "2500-07-01T14:00:00+02:00"),
        ("1893-03-31 22:00:00", "1893-03-31T22:00:00+00:00"),  # by the sun: +00:53:28
        ("0001-01-01 00:00:00", "0001-01-01T00:00:00+00:00"),
        ("9999-12-31 23:59:59", "9999-12-31T23:59:59+00:00"),  # year 10000 in Berlin
    ],
)
def test_a_zone_shows_each_moment_with_its_offset(moment: str, local: str) -> None:
    options = {"timezone": "Europe/Berlin", "header": False}
    data = render("csv", [field(Kind.DATETIME)], f"SELECT TIMESTAMPTZ '{moment}+00', 1", options=options)
    assert data.decode() == f"{local}\n"
    at = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert render_python("csv", [field(Kind.DATETIME)], [[at]], options).decode() == f"{local}\n"


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("America/St_Johns", "2024-07-01T09:30:00-02:30"),
        ("Asia/Kathmandu", "2024-07-01T17:45:00+05:45"),
        ("Pacific/Kiritimati", "2024-07-02T02:00:00+14:00"),
        ("Etc/GMT+12", "2024-07-01T00:00:00-12:00"),
        ("UTC", "2024-07-01T12:00:00+00:00"),
    ],
)
def test_zones_all_over_the_world(zone: str, text: str) -> None:
    options = {"timezone": zone, "header": False}
    data = render("csv", [field(Kind.DATETIME)], "SELECT TIMESTAMPTZ '2024-07-01 12:00+00', 1", options=options)
    assert data.decode() == f"{text}\n"


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        ("2024-04-06 14:45:00", "07.04.2024 01:45:00 +11:00"),
        ("2024-04-06 15:15:00", "07.04.2024 01:45:00 +10:30"),
        ("2024-04-06 15:45:00", "07.04.2024 02:15:00"),
    ],
)
def test_clocks_put_back_by_half_an_hour_repeat_half_an_hour(moment: str, text: str) -> None:
    options = GERMAN | {"timezone": "Australia/Lord_Howe", "header": False}
    data = render("csv", [field(Kind.DATETIME)], f"SELECT TIMESTAMPTZ '{moment}+00', 1", options=options)
    assert data.decode() == f"{text}\n"


@pytest.mark.parametrize(
    ("options", "day", "moment"),
    [
        ({"locale": "de"}, "05.01.2024", "05.01.2024 13:04:05,5"),
        ({"locale": "de-AT"}, "05.01.2024", "05.01.2024 13:04:05,5"),
        ({"locale": "en_US"}, "1/5/2024", "1/5/2024 13:04:05.5"),
        ({"locale": "en_GB"}, "05/01/2024", "05/01/2024 13:04:05.5"),
        ({"locale": "fr"}, "05/01/2024", "05/01/2024 13:04:05,5"),
        ({"locale": "sv"}, "2024-01-05", "2024-01-05 13:04:05,5"),
        ({"locale": "ja"}, "2024/01/05", "2024/01/05 13:04:05.5"),
        ({"locale": "ar"}, "05/01/2024", "05/01/2024 13:04:05.5"),
        ({"locale": "de", "date_format": "iso"}, "2024-01-05", "2024-01-05T13:04:05.5+00:00"),
        ({"locale": "de", "date_format": "short"}, "05.01.24", "05.01.24 13:04:05,5"),
        ({"locale": "de", "date_format": "long"}, "5. Januar 2024", "5. Januar 2024 13:04:05,5"),
        ({"locale": "es", "date_format": "long"}, "5 de enero de 2024", "5 de enero de 2024 13:04:05,5"),
        ({"locale": "ja", "date_format": "full"}, "2024年1月5日金曜日", "2024年1月5日金曜日 13:04:05.5"),
        ({"date_format": "medium"}, "Jan 5, 2024", "Jan 5, 2024 13:04:05.5"),
        ({"date_format": "dd/MM/yyyy"}, "05/01/2024", "05/01/2024 13:04:05.5"),
        ({"date_format": "d-M-yy"}, "5-1-24", "5-1-24 13:04:05.5"),
        ({"date_format": "EEE d MMM y", "locale": "pt_BR"}, "sex. 5 jan. 2024", "sex. 5 jan. 2024 13:04:05,5"),
        ({"date_format": "yyyy'th'MM'month'dd"}, "2024th01month05", "2024th01month05 13:04:05.5"),
        ({"date_format": "d.M.y 'o''clock'"}, "5.1.2024 o'clock", "5.1.2024 o'clock 13:04:05.5"),
        ({"decimal_separator": ","}, "2024-01-05", "2024-01-05T13:04:05.5+00:00"),
    ],
)
def test_dates_and_datetimes_of_a_locale_or_a_pattern(options: dict[str, str], day: str, moment: str) -> None:
    fields = [field(Kind.DATE, "D"), field(Kind.DATETIME, "T")]
    given = options | {"header": False, "delimiter": ";"}
    data = render("csv", fields, "SELECT DATE '2024-01-05', TIMESTAMPTZ '2024-01-05 13:04:05.5+00', 1", options=given)
    assert data.decode() == f"{day};{moment}\n"
    row = [date(2024, 1, 5), datetime(2024, 1, 5, 13, 4, 5, 500_000, tzinfo=UTC)]
    assert render_python("csv", fields, [row], given) == data


def test_dates_that_have_no_form_in_a_locale_stay_as_they_are() -> None:
    query = "SELECT d, d::timestamptz, d FROM (VALUES (DATE 'infinity'), ('0044-03-15 BC'), ('0001-01-01')) AS v(d)"
    fields = [field(Kind.DATE, "D"), field(Kind.DATETIME, "T")]
    assert render("csv", fields, query, options=GERMAN | {"header": False}).decode() == (
        "0044-03-15 BC;0044-03-15T00:00:00+00:00 BC\n01.01.1;01.01.1 00:00:00\ninfinity;infinity\n"
    )


def test_the_decimal_separator_is_that_of_the_locale_or_the_one_asked_for() -> None:
    fields = [field(Kind.DECIMAL, "D"), field(Kind.FLOAT, "F"), field(Kind.DURATION, "S"), field(Kind.INTEGER, "I")]
    query = "SELECT 1234.50, 1e-7::float8, interval '0.5 s', 1000, 1"
    for options, line in [
        ({"locale": "de"}, b'"1234,50",1e-07,"0,5",1000\n'),
        ({"locale": "de_CH"}, b"1234.50,1e-07,0.5,1000\n"),
        ({"locale": "de", "decimal_separator": "."}, b"1234.50,1e-07,0.5,1000\n"),
        ({"decimal_separator": ",", "delimiter": ";"}, b"1234,50;1e-07;0,5;1000\n"),
    ]:
        assert render("csv", fields, query, options=options | {"header": False}) == line


def test_arrays_and_json_keep_the_forms_of_json() -> None:
    fields = [field(Kind.ARRAY, "A", element=Kind.DECIMAL), field(Kind.JSON, "J")]
    query = "SELECT ARRAY[1.5], '[1.5]'::jsonb, 1"
    assert render("csv", fields, query, options=GERMAN | {"header": False}) == b"[1.5];[1.5]\n"


def test_machine_formats_know_time_zones_alone() -> None:
    for name in ("json", "ndjson"):
        known = get_format(name).options
        assert "timezone" in known
        assert not {"locale", "date_format", "decimal_separator"} & known


def test_python_renders_the_same_german_csv() -> None:
    fields = [field(kind) for kind in (Kind.DECIMAL, Kind.DATE, Kind.DATETIME)]
    row = [Decimal("1.50"), date(2024, 12, 31), datetime(2024, 10, 27, 0, 30, tzinfo=UTC)]
    data = render_python("csv", fields, [row], GERMAN | {"header": False})
    assert data == b"1,50;31.12.2024;27.10.2024 02:30:00 +02:00\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("locale", "de"),
        ("locale", "de_AT"),
        ("locale", "zh-Hans-CN"),
        ("timezone", "Europe/Berlin"),
        ("timezone", "UTC"),
        ("date_format", "iso"),
        ("date_format", "full"),
        ("date_format", "d. MMMM yyyy"),
        ("date_format", "EEEE, d 'de' MMM 'de' y"),
        ("decimal_separator", ","),
        ("delimiter", "\t"),
        ("bom", True),
    ],
)
def test_good_values_of_options(name: str, value: Any) -> None:
    assert problem(name, value) is None


WAY_OUT = "Give one of iso, short, medium, long, full, or a pattern such as dd.MM.yyyy, d/M/yy or d MMM y."


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("locale", "xx_YY", "'xx_YY' is no locale that CLDR knows. Give one such as de, de_AT or en_US."),
        ("locale", "", "'' is no locale that CLDR knows. Give one such as de, de_AT or en_US."),
        ("locale", "../de", "'../de' is no locale that CLDR knows. Give one such as de, de_AT or en_US."),
        ("locale", 7, "Give a text."),
        ("timezone", "Berlin", "'Berlin' is no time zone. Give an IANA name such as Europe/Berlin."),
        ("timezone", "localtime", "'localtime' is no time zone. Give an IANA name such as Europe/Berlin."),
        ("timezone", "+01:00", "'+01:00' is no time zone. Give an IANA name such as Europe/Berlin."),
        ("decimal_separator", "x", "Give one of: '.', ','."),
        ("delimiter", ":", "Give one of: ',', ';', '\\t', '|'."),
        ("bom", 1, "Give true or false."),
        ("date_format", "DD.MM.YYYY", f"The date format has DD, which has no meaning here. {WAY_OUT}"),
        ("date_format", "dd.MM", f"The date format leaves out the year, the month or the day. {WAY_OUT}"),
        ("date_format", "", f"The date format leaves out the year, the month or the day. {WAY_OUT}"),
        ("date_format", "d.M.y 'h", f"The date format has a quote without its other half. {WAY_OUT}"),
        ("date_format", "d.M.y" + " " * 40, f"The date format is longer than 40 characters. {WAY_OUT}"),
        (
            "date_format",
            "'=cmd|'d.M.y",
            "The date format has other characters than letters, blanks and . / , : - between its parts. " + WAY_OUT,
        ),
    ],
)
def test_bad_values_of_options_are_refused_with_the_way_out(name: str, value: Any, message: str) -> None:
    assert problem(name, value) == message


def test_bad_options_of_a_request_are_named() -> None:
    with pytest.raises(errors.Invalid) as refused:
        parse_options(get_format("csv"), {"timezone": "Nowhere", "header": "yes"})
    assert refused.value.errors == {
        "options": {
            "timezone": ["'Nowhere' is no time zone. Give an IANA name such as Europe/Berlin."],
            "header": ["Give true or false."],
        }
    }
