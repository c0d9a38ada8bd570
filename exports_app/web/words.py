"""Numbers and times as people read them."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.template.defaultfilters import filesizeformat
from django.utils.timesince import timesince, timeuntil

NOTHING = "\N{EN DASH}"
NO_BREAK = "\N{NO-BREAK SPACE}"
FORMATS = {
    "csv": ("CSV", "Opens in every spreadsheet and database."),
    "xlsx": ("Excel", "Typed cells and real dates, ready to read."),
    "json": ("JSON", "One array, for programs."),
    "ndjson": ("NDJSON", "One object a line, for streams and logs."),
    "parquet": ("Parquet", "Typed and compressed, for analysis."),
}
"""What a format is called, and what it is good for."""


def format_name(name: str) -> str:
    """``Excel`` for ``xlsx``"""
    return FORMATS[name][0] if name in FORMATS else name


def format_place(name: str) -> int:
    """Where it stands in a list: what most people want first, formats that this page does not know last."""
    return list(FORMATS).index(name) if name in FORMATS else len(FORMATS)


def format_use(name: str) -> str:
    """``Typed cells and real dates, ready to read.`` for ``xlsx``"""
    return FORMATS[name][1] if name in FORMATS else ""


def number(value: int | None) -> str:
    """``1,234,567``"""
    return NOTHING if value is None else f"{value:,}"


def size(value: int | None) -> str:
    """``64.0 MB``"""
    return NOTHING if value is None else filesizeformat(value)


def counted(value: int, noun: str) -> str:
    """``1 column``, ``12 columns``"""
    return f"{value:,} {noun}" if value == 1 else f"{value:,} {noun}s"


def isolated(name: str) -> str:
    """A name that somebody gave, in a sentence of ours: marks in it that turn the direction of text end with it."""
    return name if name.isascii() else f"\N{FIRST STRONG ISOLATE}{name}\N{POP DIRECTIONAL ISOLATE}"


def ago(moment: datetime, now: datetime) -> str:
    """``just now``, ``5 minutes ago``"""
    return "just now" if now - moment < timedelta(minutes=1) else f"{timesince(moment, now, depth=1)} ago"


def until(moment: datetime, now: datetime) -> str:
    """``in 23 hours``"""
    return "in a moment" if moment - now < timedelta(minutes=1) else f"in {timeuntil(moment, now, depth=1)}"


def duration(seconds: float) -> str:
    """``0.4 s``, ``42 s``, ``3 min 20 s``, ``2 h 5 min``; whole seconds as such: ``8 s``"""
    if seconds < 10:
        return f"{seconds}{NO_BREAK}s" if isinstance(seconds, int) else f"{seconds:.1f}{NO_BREAK}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest}{NO_BREAK}s"
    hours, minutes_left = divmod(minutes, 60)
    first, second = (f"{hours} h", f"{minutes_left} min") if hours else (f"{minutes} min", f"{rest} s")
    return f"{first} {second}".replace(" ", NO_BREAK)
