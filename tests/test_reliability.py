"""The document about failures says what the code does."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

from django.core.management import call_command

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "reliability.md"


def test_the_table_of_errors_is_the_codes_own() -> None:
    printed = StringIO()
    call_command("export_errors", stdout=printed)
    shown = re.search("<!-- errors: begin -->\n(.*)\n<!-- errors: end -->", DOCUMENT.read_text(), re.DOTALL)
    assert shown is not None
    assert shown[1] == printed.getvalue().strip()
