"""Texts as SQL literals."""

from __future__ import annotations


def quote(value: str) -> str:
    """A text as an SQL literal, right whatever ``standard_conforming_strings`` says."""
    doubled = value.replace("'", "''")
    return "E'" + doubled.replace("\\", "\\\\") + "'" if "\\" in value else f"'{doubled}'"
