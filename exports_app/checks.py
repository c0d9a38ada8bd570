"""System checks: declarations that cannot work, each with the class and the way out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core import checks
from django.core.exceptions import FieldDoesNotExist
from django.db import connections
from django.db.models import QuerySet
from django.db.models.constants import LOOKUP_SEP
from django.db.models.expressions import RawSQL

from exports_app import conf, errors
from exports_app.pipeline.formats import FORMATS
from exports_app.resources import descriptions, keys, meaning, registry, shapes
from exports_app.resources.base import Resource
from exports_app.resources.columns import Column, is_untyped
from exports_app.resources.computed import problems as problems_of_computed
from exports_app.resources.queries import is_unique_key, multivalued_hop

Problem = checks.CheckMessage


@checks.register("exports")
def check_resources(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[Problem]:
    """Every registered resource. What cannot be looked at is a finding, never a traceback."""
    problems = [_doubled(*each) for each in registry.duplicates]
    for declared in registry.every():
        misshapen = [_error(declared, each.what, each.hint, "E011") for each in shapes.problems(declared)]
        problems += misshapen or _checked(declared)
    return problems


def _checked(declared: type[Resource]) -> list[Problem]:
    found: list[Problem] = []
    try:
        found += _check(declared)
    except Exception as error:
        found.append(_error(declared, f"raises {descriptions.said(error)}", "Mend what the error names.", "E012"))
    return found or list(_check_description(declared))


def _check_description(declared: type[Resource]) -> Iterator[Problem]:
    """What describing and compiling raises; without a database, and for a user who has nothing."""
    for finding in descriptions.findings(declared):
        if finding.certain:
            yield _error(declared, finding.what, finding.hint, finding.number)
        else:
            yield checks.Warning(
                f"{_path(declared)} {finding.what}.", hint=finding.hint, obj=declared, id=f"exports.{finding.number}"
            )


@checks.register("exports")
def check_settings(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[Problem]:
    """What the engine needs of the project's settings."""
    problems: list[Problem] = []
    name = getattr(settings, "EXPORTS_STORAGE", "exports")
    if name not in settings.STORAGES:
        problems.append(
            checks.Error(
                f"STORAGES has no entry {name!r} for the exported files.",
                hint="Add one with django-storages' S3Storage or Django's FileSystemStorage.",
                id="exports.E008",
            )
        )
    try:
        conf.parse_rate(conf.settings.RATE)
    except ValueError as error:
        problems.append(checks.Error(str(error), id="exports.E010"))
    if conf.settings.S3_EQUAL_PARTS not in conf.EQUAL_PARTS:
        problems.append(checks.Error(conf.bad_equal_parts(conf.settings.S3_EQUAL_PARTS), id="exports.E024"))
    vendor = settings.DATABASES.get("default", {}).get("ENGINE", "")
    if "postgresql" not in vendor:
        problems.append(
            checks.Error(
                "Exports need PostgreSQL: it renders the files.", hint="Use a postgres:// database.", id="exports.E009"
            )
        )
    return problems


def _doubled(name: str, first: type[Resource], second: type[Resource]) -> Problem:
    return checks.Error(
        f"The resource {name!r} is registered twice: by {_path(first)} and by {_path(second)}.",
        hint="Give one of them another name.",
        obj=second,
        id="exports.E001",
    )


def _check(declared: type[Resource]) -> Iterator[Problem]:
    yield from _check_key(declared)
    yield from _check_rows(declared)
    yield from _check_filters(declared)
    yield from _check_columns(declared)
    yield from _check_permissions(declared)
    yield from _check_sheets(declared)
    for name in declared.formats or ():
        if name not in FORMATS:
            yield _error(declared, f"names the unknown format {name!r}", f"Valid: {', '.join(FORMATS)}.", "E007")


def _check_key(declared: type[Resource]) -> Iterator[Problem]:
    model = declared.model
    if not declared.key:
        yield _error(declared, "has no key", "Set key to fields that are unique and never NULL.", "E002")
        return
    if declared.is_python():
        if declared.filterset_class is not None:
            hint = "Take parameters_class, whose values iter_rows() is given."
            yield _error(declared, "has a filterset, which rows that Python makes do not heed", hint, "E019")
        names = [column.name for column in declared().get_columns()]
        if unknown := [name for name in declared.key if name not in names]:
            yield _error(declared, f"has the key {unknown[0]!r}, which is no column", f"Valid: {names}.", "E013")
    if model is None:
        return  # unions, views and aggregates are probed when they run
    key = declared().key_paths()
    if not model._meta.managed:
        return  # what such a model declares is no constraint: the database is asked when they run
    if _is_plain_override(declared) and not is_unique_key(model, key):
        yield _error(
            declared,
            f"has the key {key}, which no constraint makes unique and NOT NULL",
            f"End it with the primary key ({', '.join(_primary(model))}), and leave nullable fields out.",
            "E003",
        )


def _check_rows(declared: type[Resource]) -> Iterator[Problem]:
    """What an own ``get_queryset`` gives to nobody in particular, where it needs neither a user nor the database."""
    if _is_plain_override(declared) or declared.is_python():
        return
    try:
        with ExitStack() as stack:
            for each in connections.all():
                stack.enter_context(each.execute_wrapper(_no_query))
            queryset: Any = declared().get_queryset(AnonymousUser())
    except Exception:  # whatever it needs; when somebody asks for its rows, it will be there or refused
        return
    if not isinstance(queryset, QuerySet):
        return  # found where the resource is described
    if why := meaning.refusal(queryset):
        what, _, hint = why.partition(". ")
        yield _error(declared, f"has a get_queryset that {what}", f"{hint}.", "E020")
    elif (model := declared.model) is not None and keys.is_unproven(declared(), queryset):
        yield checks.Warning(
            f"{_path(declared)} has the key {declared().key_paths()}, which no constraint makes unique and NOT NULL: "
            "each run looks through all rows before it begins.",
            hint=f"End it with the primary key ({', '.join(_primary(model))}), and leave nullable fields out.",
            obj=declared,
            id="exports.W020",
        )


def _no_query(*_: Any) -> Any:
    raise RuntimeError("Checks ask the database nothing.")


def _primary(model: Any) -> list[str]:
    return [field.attname for field in model._meta.pk_fields]


def _is_plain_override(declared: type[Resource]) -> bool:
    """Whether the rows are surely the model's: an own ``get_queryset`` may aggregate, which is probed at run."""
    return declared.get_queryset is Resource.get_queryset


def _check_columns(declared: type[Resource]) -> Iterator[Problem]:
    seen: set[str] = set()
    for column in declared().get_columns():
        if column.name in seen:
            yield _error(declared, f"has the column {column.name!r} twice", "Rename one of them.", "E004")
        seen.add(column.name)
        if isinstance(column.expression, RawSQL) and not column.kind and is_untyped(column.expression.output_field):
            yield checks.Warning(
                f"{_path(declared)} has the column {column.name!r} of RawSQL without a type: it is text in the file.",
                hint="Give RawSQL an output_field, or the column a kind.",
                obj=declared,
                id="exports.W003",
            )
        if column.is_computed or column.reads_object or declared.model is None:
            continue
        if hop := multivalued_hop(declared.model, column.path):
            yield _error(
                declared,
                f"has the column {column.name!r}, which leads through {hop!r} to several rows",
                "Aggregate it, for example with ArrayAgg or StringAgg.",
                "E014",
            )
        elif _is_plain_override(declared) and not _exists(declared.model, column.path):
            yield _error(
                declared,
                f"has the unknown column {column.path!r}",
                f"Name a field of {declared.model.__name__}, a path to one, or an expression; a header is label=…, and "
                "python= takes what Python computes.",
                "E005",
            )
    if any(column.reads_object for column in declared().get_columns()):
        yield from _check_computed(declared)


def _check_computed(declared: type[Resource]) -> Iterator[Problem]:
    is_plain = _is_plain_override(declared)
    rows = None
    if not is_plain:
        with suppress(Exception):  # it may need a user, or the database
            rows = declared().get_queryset(AnonymousUser())
    for what, hint, number in problems_of_computed(declared(), rows, is_plain=is_plain):
        yield _error(declared, what, hint, number)


def _check_filters(declared: type[Resource]) -> Iterator[Problem]:
    """Where any resource hides columns: filters whose method may read one of them, which only their author can tell."""
    if declared.filterset_class is None or not any(_hides(each) for each in registry.every()):
        return
    for name, filter_ in declared.filterset_class.base_filters.items():
        if getattr(filter_, "method", None) and name not in declared.filter_reads:
            yield checks.Warning(
                f"{_path(declared)} has the filter {name!r}, whose method may read columns hidden from some users.",
                hint=f'Say what it reads: filter_reads = {{"{name}": ("path__of__a_field",)}}; () for no field.',
                obj=declared,
                id="exports.W005",
            )


def _hides(declared: type[Resource]) -> bool:
    return any(isinstance(column, Column) and column.sensitive for column in declared.columns)


def _check_sheets(declared: type[Resource]) -> Iterator[Problem]:
    for sheet in declared.sheets:
        if registry.get(sheet.resource) is None:
            known = [each.name for each in registry.every()]
            hint = errors.unknown("resource", sheet.resource, known)
            yield _error(declared, f"has a sheet of the resource {sheet.resource!r}, which there is not", hint, "E017")


def _check_permissions(declared: type[Resource]) -> Iterator[Problem]:
    wanted = {declared.permission, *(column.sensitive for column in declared().get_columns())} - {None}
    for permission in sorted(str(each) for each in wanted):
        if permission not in _permissions():
            yield _error(
                declared,
                f"asks for the permission {permission!r}, which no model declares",
                "Write it as app_label.codename; add it to a model's Meta.permissions if it is your own.",
                "E006",
            )


def _permissions() -> set[str]:
    """All permissions that the models of the site declare."""
    return {
        f"{model._meta.app_label}.{codename}"
        for model in apps.get_models()
        for codename in (
            *(f"{action}_{model._meta.model_name}" for action in model._meta.default_permissions),
            *(codename for codename, _ in model._meta.permissions),
        )
    }


def _exists(model: Any, path: str) -> bool:
    current = model
    for part in path.split(LOOKUP_SEP):
        if current is None:
            return True  # a transform or a key of JSON behind a plain field
        if part == "pk":
            return True
        try:
            field = current._meta.get_field(part)
        except FieldDoesNotExist:
            return any(part == field.attname for field in current._meta.concrete_fields)
        current = field.related_model
    return True


def _error(declared: type[Resource], what: str, hint: str, number: str) -> Problem:
    return checks.Error(f"{_path(declared)} {what}.", hint=hint, obj=declared, id=f"exports.{number}")


def _path(declared: type[Resource]) -> str:
    return f"{declared.__module__}.{declared.__qualname__}"
