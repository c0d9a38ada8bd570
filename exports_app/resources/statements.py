"""SQL text of querysets, literals in place: the rows as the ORM means them, and columns picked out of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.models.expressions import ColPairs
from django.db.models.sql.datastructures import Join


def rows_text(queryset: models.QuerySet[Any, Any]) -> str:
    """SQL of the rows as they are: counting its rows gives ``len(list(queryset))``."""
    return literal(queryset.db, *_plainest(queryset).as_sql())


def keys_text(queryset: models.QuerySet[Any, Any], keys: Sequence[str]) -> str:
    """SQL of the same rows with the columns of ``keys`` alone, in that order."""
    names = list(dict.fromkeys(keys))
    compiler = _plainest(queryset)
    statement = literal(queryset.db, *compiler.as_sql())
    found = _positions(compiler)
    if not is_open(queryset) and set(names) <= found.keys():
        return pick(statement, [found[key] for key in keys], _width(compiler))
    if is_closed(queryset):
        missing = next(name for name in names if name not in found)
        raise ImproperlyConfigured(f"The key {missing!r} is no column of the rows that get_queryset returns.")
    rows = queryset if depends_on_order(queryset) else queryset.order_by()
    text = literal(queryset.db, *_compiler(rows.values_list(*names).query, queryset.db).as_sql())
    return text if len(names) == len(keys) else pick(text, [names.index(key) for key in keys], len(names))


def pick(text: str, positions: Sequence[int], width: int) -> str:
    """The same rows, with the columns at ``positions`` (counted from 0) of the ``width`` that ``text`` has."""
    inner = ", ".join(f"u{n}" for n in range(1, width + 1))
    outer = ", ".join(f"u{position + 1}" for position in positions)
    return f"SELECT {outer} FROM ({text}) AS u({inner})"  # noqa: S608 - compiled by Django


def is_closed(queryset: models.QuerySet[Any, Any]) -> bool:
    """Whether the selected columns decide which rows there are, so that none can be added or left out."""
    query = queryset.query
    return bool(
        query.combinator
        or (query.distinct and not query.distinct_fields)
        or any(_returns_sets(annotation) for annotation in query.annotation_select.values())
    )


def is_open(queryset: models.QuerySet[Any, Any]) -> bool:
    """Whether any columns may be selected instead of those that are: they decide about no row."""
    return not is_closed(queryset) and queryset.query.group_by is None


def depends_on_order(queryset: models.QuerySet[Any, Any]) -> bool:
    """Whether the order decides which rows there are, not only where they stand."""
    query = queryset.query
    if query.is_sliced or query.distinct or query.combinator:
        return True
    if not queryset.ordered and not query.extra_order_by:
        return False
    # A grouped query is grouped by what its order names too; a path to several rows repeats a row.
    return (query.group_by is not None and bool(query.order_by or query.extra_order_by)) or (
        not multiplies(query) and multiplies(_with_joins_of_order(query))
    )


def multiplies(query: Any) -> bool:
    """Whether a join or a further table can repeat a row of the model."""
    joins = [
        join
        for alias, join in query.alias_map.items()
        if isinstance(join, Join) and query.alias_refcount.get(alias, 0) > 0
    ]
    return bool(query.extra_tables) or any(
        isinstance(join.join_field, models.ForeignObjectRel) and not join.join_field.field.unique for join in joins
    )


def _with_joins_of_order(query: Any) -> Any:
    ordered = query.clone()
    compiler = _compiler(ordered)
    compiler.setup_query()
    compiler.get_order_by()
    return ordered


def _plainest(queryset: models.QuerySet[Any, Any]) -> Any:
    """Compiler of the queryset without what decides about no row: its relations, order and, if so, its columns."""
    query = queryset.query.clone()
    query.select_related = False
    if is_open(queryset) and not query.distinct:
        query.set_values(("pk",))
    if not depends_on_order(queryset):
        query.clear_ordering(force=True)
    return _compiler(query, queryset.db)


def _compiler(query: Any, alias: str = DEFAULT_DB_ALIAS) -> Any:
    # elide_empty=False: a queryset that can match nothing is still a query, with columns and no rows.
    return query.get_compiler(alias, elide_empty=False)


def literal(alias: str, statement: str, parameters: Sequence[Any]) -> str:
    """A statement for this database with its parameters in place, right in any of its sessions."""
    return str(connections[alias].ops.compose_sql(statement, parameters))  # type: ignore[attr-defined]  # PostgreSQL's


def _positions(compiler: Any) -> dict[str, int]:
    """Where each name stands in the rows of a compiled query."""
    found: dict[str, int] = {}
    of_fields: dict[str, int] = {}
    at = 0
    for expression, _, alias in compiler.select:
        if alias:
            found[alias] = at
        target = getattr(expression, "target", None)
        if target is not None and expression.alias == compiler.query.base_table:
            of_fields |= {target.name: at, target.attname: at}
        at += _columns(expression)
    return of_fields | found


def _width(compiler: Any) -> int:
    extra = compiler.get_extra_select(compiler.get_order_by(), compiler.select)
    return sum(_columns(expression) for expression, *_ in [*compiler.select, *extra])


def _columns(expression: Any) -> int:
    return len(expression.get_cols()) if isinstance(expression, ColPairs) else 1


def _returns_sets(expression: Any) -> bool:
    return any(getattr(each, "set_returning", False) for each in expression.flatten())
