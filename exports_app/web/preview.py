"""What the form as it stands comes to, in words: how much, how it comes, its first rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

from exports_app import asking, errors
from exports_app.choices import Strategy
from exports_app.estimates import Estimate
from exports_app.pipeline.formats.reading import Written
from exports_app.pipeline.types import Field, Format, Kind
from exports_app.plan import make_plan
from exports_app.previews import Forecast, forecast
from exports_app.web import words
from exports_app.web.forms import ExportForm

NUMBERS = (Kind.INTEGER, Kind.FLOAT, Kind.DECIMAL)
ROWS_PER_SECOND = 250_000
"""What the time is guessed from: the slowest format on a machine like docs/benchmarks.md's."""

NO_ROWS = "No row matches; the file would hold none."


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    kind: str
    """``number``, ``null`` or nothing: how it is set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """Everything that the template asks for."""

    problems: list[str] = field(default_factory=list)
    """Why there would be no file; then nothing else is said."""
    rows: str = ""
    how: str = ""
    action: str = ""
    is_direct: bool = False
    warnings: list[str] = field(default_factory=list)
    titles: list[Cell] = field(default_factory=list)
    cells: list[list[Cell]] = field(default_factory=list)

    @classmethod
    def of(cls, user: Any, form: ExportForm, page: str = "") -> Self:
        """Of the form as it stands on a ``page``, whether or not it is ready to be sent.

        Raises ``errors.Throttled`` and ``asking.Superseded``.
        """
        if not form.is_valid():
            return cls(problems=list(_form_problems(form)))
        try:
            with asking.turn(user, page):
                plan = make_plan(form.to_request(), user)
                found = forecast(plan)
        except (errors.Throttled, asking.Superseded):
            raise
        except errors.ExportError as error:
            form.add_refusal(error)
            return cls(problems=list(_form_problems(form)))
        shown = found.preview
        kinds = [each.kind for each in shown.columns] if shown else []
        is_direct = found.estimate.strategy == Strategy.DIRECT and not form.cleaned_data.get("email")
        return cls(
            rows=_rows(found.estimate),
            how=_how(found, is_direct),
            action="Download" if is_direct else "Start export",
            is_direct=is_direct,
            warnings=[*found.warnings, NO_ROWS] if found.estimate.rows == 0 else found.warnings,
            titles=[_title(each, plan.format) for each in shown.columns] if shown else [],
            cells=[[_cell(*each) for each in zip(row, kinds, strict=True)] for row in shown.rows] if shown else [],
        )


def _rows(estimate: Estimate) -> str:
    if estimate.rows is None:
        return "An unknown number of rows"
    return ("" if estimate.exact else "About ") + words.counted(estimate.rows, "row")


def _how(found: Forecast, is_direct: bool) -> str:
    """``About 1.2 MB. Comes at once.``"""
    size = f"About {words.size(found.bytes)}. " if found.bytes is not None else ""
    if is_direct:
        return size + "Comes at once."
    if found.estimate.rows is None:
        return "Made in the background."
    seconds = found.estimate.rows / ROWS_PER_SECOND
    when = "in a moment" if seconds < 3 else f"in about {words.duration(round(seconds))}"
    return f"{size}Made in the background, {when}."


def _title(column: Field, format_: Format) -> Cell:
    return _cell(column.label if format_.labelled else column.name, column.kind)


def _cell(value: Any, kind: Kind) -> Cell:
    if value is None:
        return Cell("", "null")
    if isinstance(value, Written):
        text = value.digits
    else:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return Cell(text, "number" if kind in NUMBERS else "")


def _form_problems(form: ExportForm) -> Iterator[str]:
    for name, texts in form.errors.items():
        label = form.fields[name].label if name in form.fields else None
        for text in texts:
            yield f"{label}: {text}" if label else str(text)
