"""SQL text of querysets, literals in place: the rows as the ORM means them, and the columns that an export takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.db.models.expressions import ColPairs

from exports_app.resources.literals import literal
from exports_app.resources.meaning import (
    compiler_of,
    depends_on_order,
    groups,
    is_closed,
    is_open,
    is_told,
    opened,
)

Rows = models.QuerySet[Any, Any]

COMPUTED = "="
"""The names of computed columns begin with it, as no path does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A compiled query."""

    text: str
    outputs: dict[str, Any]
    """The expression of each column, in order."""
    rows: Rows | None
    """The same rows as a queryset to which columns can be added; None: they were picked out of the rows as they are."""
    read: Rows | None
    """Those rows with the columns, as it was compiled."""


def rows_text(queryset: Rows) -> str:
    """SQL of the rows as they are: counting its rows gives ``len(list(queryset))``."""
    return literal(queryset.db, *_plainest(queryset).as_sql())


def keys_text(queryset: Rows, keys: Sequence[str]) -> str:
    """SQL of the same rows with the columns of ``keys`` alone, in that order."""
    names = list(dict.fromkeys(keys))
    if not is_open(queryset):
        compiler = _plainest(queryset)
        statement = literal(queryset.db, *compiler.as_sql())
        found = _positions(compiler)
        if set(names) <= found.keys():
            return pick(statement, [found[key] for key in keys], _width(compiler))
        if is_closed(queryset):
            raise _missing(next(name for name in names if name not in found))
    rows = queryset if depends_on_order(queryset) else queryset.order_by()
    text = literal(queryset.db, *compiler_of(rows.values_list(*names).query, queryset.db).as_sql())
    return text if len(names) == len(keys) else pick(text, [names.index(key) for key in keys], len(names))


def select(queryset: Rows, computed: Mapping[str, Any], names: Sequence[str]) -> Statement:
    """The rows with the columns ``names``, of which ``computed`` are expressions.

    Raises ``ImproperlyConfigured`` for a column that would change which rows there are.
    """
    base = opened(queryset)
    if base is None:
        return _picked(queryset, computed, names)
    rows = base if depends_on_order(base) else base.order_by()
    grouped = groups(base) if base.query.group_by is not None else None
    rows, aliases = _annotated(rows, computed)
    if rows.query.group_by is not None:
        rows.query.group_by = tuple(grouped if grouped is not None else groups(base))
    paths = [aliases.get(name, name) for name in names]
    rows, places = _without_twins(rows, paths) if rows.query.distinct_fields else (rows.values_list(*paths), None)
    compiler = compiler_of(rows.query, queryset.db)
    text = literal(queryset.db, *compiler.as_sql())
    expressions = [expression for expression, *_ in compiler.select]
    if places is not None:
        text = pick(text, places, len(expressions))
        expressions = [expressions[place] for place in places]
    outputs = dict(zip(names, expressions, strict=True))
    for name, expression in outputs.items():
        if grouped is not None and not is_told(rows.query, expression, grouped, aggregates=True):
            raise _missing(name)
    return Statement(text=text, outputs=outputs, rows=base, read=rows)


def _without_twins(rows: Rows, paths: Sequence[str]) -> tuple[Rows, list[int]]:
    """The rows with each expression once, and where each path stands among them.

    Of two columns that are the same, ``DISTINCT ON`` and ``ORDER BY`` would each take another one.
    """
    expressions = [expression for expression, *_ in _set_up(rows.values_list(*paths).query).select]
    firsts = [expressions.index(each) for each in expressions]
    once = sorted(set(firsts))
    return rows.values_list(*(paths[place] for place in once)), [once.index(first) for first in firsts]


def pick(text: str, positions: Sequence[int], width: int) -> str:
    """The same rows, with the columns at ``positions`` (counted from 0) of the ``width`` that ``text`` has."""
    inner = ", ".join(f"u{n}" for n in range(1, width + 1))
    outer = ", ".join(f"u{position + 1}" for position in positions)
    return f"SELECT {outer} FROM ({text}) AS u({inner})"  # noqa: S608 - compiled by Django


def chosen(every: str, names: Sequence[str], keys_text: str, keys: Sequence[str], *, proven: bool) -> str:
    """The rows of ``every`` whose key is among those of ``keys_text``.

    ``IN`` would drop a NULL in silence: where the key is not proven, such a row stays, for the probe to find.
    """
    columns = [f"u{n}" for n in range(1, len(names) + 1)]
    at = {name: column for name, column in zip(names, columns, strict=True) if name in keys}
    taken = ", ".join(at[key] for key in dict.fromkeys(keys))
    text = (
        f"SELECT * FROM ({every}) AS u({', '.join(columns)}) "  # noqa: S608 - compiled by Django
        f"WHERE ({taken}) IN (SELECT * FROM ({keys_text}) AS n)"
    )
    if proven:
        return text
    blank = ", ".join(column if column in at.values() else "NULL" for column in columns)
    nulls = " OR ".join(f"{column} IS NULL" for column in at.values())
    return f"{text} UNION ALL SELECT {blank} FROM ({keys_text}) AS n({taken}) WHERE {nulls}"  # noqa: S608


def _picked(queryset: Rows, computed: Mapping[str, Any], names: Sequence[str]) -> Statement:
    """Columns out of the rows as they are. Further ones may stand beside those that say which rows are distinct."""
    own = _positions(_set_up(queryset.query.clone()))
    further = [name for name in dict.fromkeys(names) if name in computed or name not in own]
    aliases: dict[str, str] = {}
    if further:
        queryset, aliases = _widened(queryset, computed, further)
    compiler = _plainest(queryset)
    text = literal(queryset.db, *compiler.as_sql())
    found = _positions(compiler)
    places = [found[aliases.get(name, name)] for name in names]
    expressions = {place: expression for expression, place in _places(compiler)}
    outputs = {name: expressions[place] for name, place in zip(names, places, strict=True)}
    return Statement(text=pick(text, places, _width(compiler)), outputs=outputs, rows=None, read=None)


def _widened(queryset: Rows, computed: Mapping[str, Any], further: Sequence[str]) -> tuple[Rows, dict[str, str]]:
    """The distinct rows with columns that follow from theirs, and what these are called there."""
    query = queryset.query
    if query.combinator or not query.distinct or query.group_by is not None:
        raise _missing(further[0])
    own = _set_up(query.clone())
    known = [expression for expression, *_ in own.select]
    names = [alias or expression.target.attname for expression, _, alias in own.select]
    rows, aliases = _annotated(queryset, {name: computed[name] for name in further if name in computed})
    rows = rows.values_list(*dict.fromkeys([*names, *(aliases.get(name, name) for name in further)]))
    compiler = _set_up(rows.query.clone())
    if compiler.query.group_by is not None:
        raise _missing(further[0])
    expressions = [expression for expression, *_ in compiler.select[len(names) :]]
    for name, expression in zip(further, expressions, strict=True):
        if not is_told(compiler.query, expression, known, aggregates=False):
            raise _missing(name)
    return rows, aliases


def _annotated(queryset: Rows, computed: Mapping[str, Any]) -> tuple[Rows, dict[str, str]]:
    """The queryset with computed columns, each under a name that nothing in it has."""
    if not computed:
        return queryset, {}
    query = queryset.query
    taken = {*query.annotations, *query.extra, *(field.name for field in queryset.model._meta.get_fields())}
    aliases: dict[str, str] = {}
    for name in computed:
        alias, number = name.replace(COMPUTED, "export_", 1), 0
        while alias in taken or not alias.isidentifier():
            alias, number = f"export_{len(aliases)}_{number}", number + 1
        aliases[name] = alias
    return queryset.annotate(**{alias: computed[name] for name, alias in aliases.items()}), aliases


def _set_up(query: Any) -> Any:
    query.select_related = False
    compiler = compiler_of(query)
    compiler.setup_query()
    return compiler


def _missing(name: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(
        f"The column {name.removeprefix(COMPUTED)!r} does not follow from the rows that get_queryset returns: "
        "groups, distinct values and unions have their own columns only. Name it in values() or annotate() there."
    )


def _plainest(queryset: Rows) -> Any:
    """Compiler of the queryset without what decides about no row: its relations, order and, if so, its columns."""
    query = queryset.query.clone()
    query.select_related = False
    if is_open(queryset) and not query.distinct:
        query.set_values(("pk",))
    if not depends_on_order(queryset):
        query.clear_ordering(force=True)
    return compiler_of(query, queryset.db)


def _positions(compiler: Any) -> dict[str, int]:
    """Where each name stands in the rows of a compiled query."""
    found: dict[str, int] = {}
    of_fields: dict[str, int] = {}
    for (expression, place), (_, _, alias) in zip(_places(compiler), compiler.select, strict=True):
        if alias:
            found[alias] = place
        target = getattr(expression, "target", None)
        if target is not None and expression.alias == compiler.query.base_table:
            of_fields |= {target.name: place, target.attname: place}
    return of_fields | found


def _places(compiler: Any) -> list[tuple[Any, int]]:
    """Each selected expression, and the column that it begins at."""
    places: list[tuple[Any, int]] = []
    at = 0
    for expression, *_ in compiler.select:
        places.append((expression, at))
        at += _columns(expression)
    return places


def _width(compiler: Any) -> int:
    """How many columns a compiled query has, those of its order included."""
    query = compiler.query
    if query.combinator:
        # What a union is ordered by, and does not have, becomes a column of each part.
        extra = [name for name in query.values_select if name.startswith("__orderbycol")]
        return sum(_columns(expression) for expression, *_ in compiler.select) + len(extra)
    extra = compiler.get_extra_select(compiler.get_order_by(), compiler.select)
    return sum(_columns(expression) for expression, *_ in [*compiler.select, *extra])


def _columns(expression: Any) -> int:
    return len(expression.get_cols()) if isinstance(expression, ColPairs) else 1
