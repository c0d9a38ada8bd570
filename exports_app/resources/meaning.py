"""What a queryset means: whether its order or columns decide which rows there are, and the same rows said otherwise.

An export reads its rows in the order of the key, in several statements, and columns of its own. That changes the
rows of a queryset with a slice, ``distinct()``, a union or groups, unless it is said in another way first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, models
from django.db.models.aggregates import Aggregate
from django.db.models.expressions import Col, F, Ref, Subquery, Window
from django.db.models.functions import Random
from django.db.models.sql.datastructures import Join
from django.db.models.sql.where import AND

Rows = models.QuerySet[Any, Any]
Model = type[models.Model]


def refusal(queryset: Any) -> str | None:
    """Why rows of this kind cannot be exported, and the way out; None where they can."""
    if not isinstance(queryset, models.QuerySet):
        return f"returns a {type(queryset).__name__}, which is no QuerySet. Take annotate(), extra() or a view instead"
    return next((why for query in _parts(queryset.query) if (why := _refusal(query))), None)


def steady(queryset: Rows, key: Sequence[str] = ()) -> Rows:
    """The same rows, ordered to the last tie wherever the order decides which rows there are.

    The primary key of an unmanaged model may stand for several rows, which the ``key`` of the export tells apart.
    """
    again = queryset.all()
    fields = {name for field in queryset.model._meta.concrete_fields for name in (field.name, field.attname)}
    _make_steady(again.query, () if queryset.model._meta.managed else [name for name in key if name in fields])
    return again


def opened(queryset: Rows) -> Rows | None:
    """The same rows as a queryset to which columns can be added; None: only the columns that it has are sure."""
    query = queryset.query
    if not is_closed(queryset):
        return queryset
    if query.combinator:
        return None if query.is_sliced else _of_parts(queryset)
    if not is_row_of_model(queryset) or not queryset.model._meta.managed:
        return None
    if not is_repeated(queryset):
        once = queryset.all()
        once.query.distinct = False
        return opened(once)
    if query.annotation_select or query.extra_select or query.extra_order_by or multiplies_by_order(query):
        return None
    return _distinct_models(queryset)


def narrowable(queryset: Rows, key: Sequence[str]) -> Rows | None:
    """The same rows as a queryset whose filters narrow these very rows; None: there is none.

    Django refuses to filter a slice and a union, and filters of ``distinct("x")`` and of windows would let others in.
    """
    query = queryset.query
    windows = _windows(query)
    if not (query.combinator or query.is_sliced or query.distinct_fields or windows is not None):
        return queryset
    open_ = opened(queryset)
    if open_ is None or not has_sure_rows(open_, key):
        return None
    if query.combinator:
        return open_  # already chosen by primary key
    every = _unordered(open_)
    if windows is not None:
        every.query.where = _without_windows(every.query)
    return every.filter(pk__in=open_.values("pk"))


def primary_keys(queryset: Rows) -> Rows:
    """The primary keys of these very rows, to stand behind ``__in``."""
    query = queryset.query
    plain = query.distinct and not query.is_sliced and not query.distinct_fields and is_row_of_model(queryset)
    open_ = queryset if plain else opened(queryset)
    if open_ is None:
        raise ImproperlyConfigured("The primary keys of these rows cannot be told: they are no rows of a model.")
    return (open_ if depends_on_order(open_) and not plain else open_.order_by()).values("pk")


def narrowed_by_windows(rows: Rows, filtered: Rows) -> Rows:
    """``filtered`` again, with its filters by window functions as these are in all of ``rows``."""
    windows = _windows(filtered.query)
    if windows is None or windows == _windows(rows.query):
        return filtered
    chosen, others = rows.all(), filtered.all()
    chosen.query.where.add(windows, AND)
    others.query.where = _without_windows(filtered.query)
    return others.filter(pk__in=chosen.order_by().values("pk"))


def has_sure_rows(queryset: Rows, key: Sequence[str]) -> bool:
    """Whether a primary key stands for one row of these, repeated by no join."""
    return is_row_of_model(queryset) and not is_repeated(queryset) and tells_rows(queryset.model, key)


def tells_rows(model: Model, key: Sequence[str]) -> bool:
    """Whether a primary key stands for one row of a model.

    That of a view or of any other unmanaged model proves nothing; where it is the whole ``key`` of the export, a
    doubled one is found at the start of the run.
    """
    return model._meta.managed or set(key) == {field.attname for field in model._meta.pk_fields}


def is_closed(queryset: Rows) -> bool:
    """Whether the selected columns decide which rows there are, so that none can be added or left out."""
    query = queryset.query
    return bool(
        query.combinator
        or (query.distinct and not query.distinct_fields)
        or any(_returns_sets(annotation) for annotation in query.annotation_select.values())
    )


def is_open(queryset: Rows) -> bool:
    """Whether any columns may be selected in place of those that are: they decide about no row."""
    return not is_closed(queryset) and queryset.query.group_by is None


def depends_on_order(queryset: Rows) -> bool:
    """Whether the order decides which rows there are, not only where they stand."""
    query = queryset.query
    if query.is_sliced or query.distinct:
        return True
    if query.combinator or not (queryset.ordered or query.extra_order_by):
        return False
    # A grouped query is grouped by what its order names too.
    return (query.group_by is not None and bool(query.order_by or query.extra_order_by)) or multiplies_by_order(query)


def multiplies(query: Any) -> bool:
    """Whether a join or a further table can repeat a row of the model."""
    return bool(query.extra_tables) or any(can_repeat(join) for join in joins(query))


def multiplies_by_order(query: Any) -> bool:
    """Whether the order joins several rows to one."""
    return not multiplies(query) and multiplies(_with_joins_of_order(query))


def joins(query: Any) -> list[Join]:
    """The joins that a query makes."""
    used = query.alias_refcount
    return [join for alias, join in query.alias_map.items() if isinstance(join, Join) and used.get(alias, 0) > 0]


def compiler_of(query: Any, database: str = DEFAULT_DB_ALIAS) -> Any:
    """A compiler for this database; ``query`` then belongs to it."""
    # elide_empty=False: a queryset that can match nothing is still a query, with columns and no rows.
    return query.get_compiler(database, elide_empty=False)


def groups(queryset: Rows) -> list[Any]:
    """Expressions that tell the rows of a queryset apart: what it is grouped by, or its primary key and columns."""
    query = queryset.query.clone()
    compiler = compiler_of(query)
    extra, order, _ = compiler.pre_sql_setup()
    found: list[Any] = [] if query.group_by is None or query.group_by is True else list(query.group_by)
    if query.group_by is None:
        found += primary_columns(query)
    for expression, *_ in [*compiler.select, *extra]:
        found += expression.get_group_by_cols()
    if query.group_by is not None and not compiler._meta_ordering:
        found += [column for each, (_, _, known) in order if not known for column in each.get_group_by_cols()]
    if compiler.having:
        found += compiler.having.get_group_by_cols()
    return [getattr(each, "source", each) if isinstance(each, Ref) else each for each in found]


def is_told(query: Any, expression: Any, known: Sequence[Any], *, aggregates: bool) -> bool:
    """Whether the ``known`` expressions say what ``expression`` is; with ``aggregates`` those of a group do too."""
    if any(expression == each for each in known):
        return True
    if isinstance(expression, Col):
        return _is_told_alias(query, expression.alias, known)
    if isinstance(expression, Aggregate):
        return aggregates
    if isinstance(expression, Subquery):
        return True  # of one row at most; which columns it looks at is its own affair
    sources = [each for each in expression.get_source_expressions() if each is not None]
    if isinstance(expression, Window) and not aggregates:
        return False
    return all(is_told(query, each, known, aggregates=aggregates) for each in sources)


def primary_columns(query: Any) -> list[Col]:
    """The primary key of the rows that a query begins with."""
    alias = query.get_initial_alias()
    return [field.get_col(alias) for field in query.model._meta.pk_fields]


def _is_told_alias(query: Any, alias: str, known: Sequence[Any]) -> bool:
    columns = {(each.alias, each.target.column) for each in known if isinstance(each, Col)}
    own = [(each.alias, each.target.column) for each in primary_columns(query)]
    if alias == query.base_table:
        return bool(query.model._meta.managed) and set(own) <= columns
    join = query.alias_map.get(alias)
    if not isinstance(join, Join) or can_repeat(join):
        return False
    parent = join.parent_alias
    return all((parent, left) in columns for left, _ in join.join_cols) or _is_told_alias(query, parent, known)


def is_repeated(queryset: Rows) -> bool:
    """Whether one row of the model may be several of the queryset."""
    query = queryset.query
    if query.group_by is None:
        return multiplies(_with_joins_of_order(query))
    known = primary_columns(query)
    return not all(is_told(query, each, known, aggregates=True) for each in groups(queryset))


def _parts(query: Any) -> Iterator[Any]:
    yield query
    for each in query.combined_queries:
        yield from _parts(each)


def _refusal(query: Any) -> str | None:
    if query.select_for_update:
        return "locks its rows with select_for_update(), which a run that only reads cannot. Leave that out"
    order = _order_of(query) if query.is_sliced or query.distinct else ()
    if any(_is_random(query, each) for each in [*order, *query.where.leaves()]):
        return "takes rows at random, other ones each time that it is asked. Choose and order them by fields"
    return None


def _is_random(query: Any, expression: Any) -> bool:
    if isinstance(expression, str):
        expression = Random() if expression == "?" else query.annotations.get(expression.removeprefix("-"))
    return hasattr(expression, "flatten") and any(isinstance(each, Random) for each in expression.flatten())


def _make_steady(query: Any, key: Sequence[str] = ()) -> None:
    query.combined_queries = tuple(each.clone() for each in query.combined_queries)
    for each in query.combined_queries:
        _make_steady(each)
    if not (query.is_sliced or query.distinct_fields):
        return
    order = _order_of(query) or tuple(F(name) for name in query.distinct_fields)
    told = {each.removeprefix("-") for each in order if isinstance(each, str)}
    own = key if _selects_rows(query) else ()
    ties = [name for name in dict.fromkeys([*_names_of_ties(query), *own]) if name not in told]
    if query.extra_order_by:
        query.extra_order_by = (*query.extra_order_by, *ties)
    else:
        query.order_by = (*order, *ties)


def _names_of_ties(query: Any) -> list[str]:
    """What tells any two rows apart, or two that look the same."""
    primary = [field.attname for field in query.model._meta.pk_fields]
    if _selects_rows(query):
        fields = [field.attname for field in query.model._meta.concrete_fields] if query.combinator else primary
        return [*fields, *(_selected_names(query) if multiplies(query) or query.combinator else ())]
    if query.combinator or query.group_by is not None or (query.distinct and not query.distinct_fields):
        return _selected_names(query)
    return [*primary, *(_selected_names(query) if multiplies(query) else ())]


def _selected_names(query: Any) -> list[str]:
    names = query.selected or [*query.extra_select, *query.values_select, *query.annotation_select]
    found = {name: query.annotation_select.get(name) for name in names}
    return [name for name, computed in found.items() if not getattr(computed, "contains_aggregate", False)]


def _order_of(query: Any) -> tuple[Any, ...]:
    """The order that holds, the model's own where no other was asked for."""
    if query.extra_order_by or query.order_by:
        return tuple(query.extra_order_by or query.order_by)
    default = query.get_meta().ordering if query.default_ordering and query.group_by is None else ()
    return tuple(default)


def is_row_of_model(queryset: Rows) -> bool:
    """Whether each row is made of one row of the model, or of a join to it, and tells which."""
    query = queryset.query
    if query.combinator or any(_returns_sets(each) for each in query.annotation_select.values()):
        return False
    if query.distinct and not query.distinct_fields and not _selects_rows(query):
        return False
    if query.group_by in (None, True):
        return True
    grouped = groups(queryset)
    return all(any(own == each for each in grouped) for own in primary_columns(query.clone()))


def _of_parts(queryset: Rows) -> Rows | None:
    """A union, intersection or difference of a model's own rows: those rows by their primary keys."""
    model = queryset.model._meta.concrete_model
    for query in _parts(queryset.query):
        own = _selects_rows(query) and not (query.annotation_select or query.extra_select or query.extra_tables)
        if not own or query.model._meta.concrete_model is not model or query.combinator_all:
            return None
        if query.distinct and _order_of(query):
            return None  # its order would be among the columns
    if not queryset.model._meta.managed:
        return None
    chosen = queryset.all()
    chosen.query.clear_ordering(force=True)
    return _all_of(queryset).filter(pk__in=chosen.values("pk"))


def _selects_rows(query: Any) -> bool:
    """Whether the columns are the model's, and no choice of ``values``."""
    return query.selected is None and not query.values_select


def _all_of(queryset: Rows) -> Rows:
    every: Rows = queryset.model._base_manager.using(queryset.db).all()
    return every


def _distinct_models(queryset: Rows) -> Rows:
    """Each of the model's rows that a join repeats once, in the same order and slice."""
    query = queryset.query
    once = _all_of(queryset).filter(pk__in=_unordered(queryset).values("pk"))
    once.query.order_by = _order_of(query)
    once.query.standard_ordering = query.standard_ordering
    once.query.set_limits(query.low_mark, query.high_mark)
    return once


def _unordered(queryset: Rows) -> Rows:
    """The rows from among which a slice or ``distinct`` takes its own."""
    again = queryset.all()
    again.query.clear_limits()
    again.query.clear_ordering(force=True)
    again.query.distinct, again.query.distinct_fields = False, ()
    return again


def _windows(query: Any) -> Any:
    """Conditions about window functions."""
    return query.where.split_having_qualify(must_group_by=query.group_by is not None)[2]


def _without_windows(query: Any) -> Any:
    """The other conditions."""
    where, having, _ = query.where.split_having_qualify(must_group_by=query.group_by is not None)
    return query.where.create([part for part in (where, having) if part is not None], AND)


def _with_joins_of_order(query: Any) -> Any:
    ordered = query.clone()
    if not ordered.combinator:
        compiler = compiler_of(ordered)
        compiler.setup_query()
        compiler.get_order_by()
    return ordered


def can_repeat(join: Join) -> bool:
    field = join.join_field
    return isinstance(field, models.ForeignObjectRel) and not field.field.unique


def _returns_sets(expression: Any) -> bool:
    return any(getattr(each, "set_returning", False) for each in expression.flatten())
