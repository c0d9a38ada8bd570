"""PostgreSQL's types where a cast to text says something else than the type itself prints, by OID."""

from __future__ import annotations

from collections.abc import Sequence

PRINTED = "CASE WHEN {0} IS NOT NULL THEN concat({0}) END"
"""As the type prints itself."""
RECAST = {
    1042: PRINTED,  # character: a cast takes off the blanks that Django, psql and every other client give
    869: PRINTED,  # inet: a cast adds the netmask
    790: "{0}::numeric",  # money prints a currency of the server's locale
    791: "{0}::numeric[]",
}
JSON = frozenset({114, 199})
"""``json`` and its array, which keep any text."""


def recast(names: Sequence[str], types: Sequence[int]) -> list[str] | None:
    """Expressions of columns whose cast to text is true; None where that of the columns themselves is."""
    if RECAST.keys().isdisjoint(types):
        return None
    return [RECAST.get(oid, "{0}").format(name) for name, oid in zip(names, types, strict=True)]
