"""Whether a request fits: resource, format, options, parameters and columns, each refused by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from exports_app import clock, errors, keys
from exports_app.pipeline import formats
from exports_app.pipeline.formats import options as option_values
from exports_app.pipeline.types import Field, Format, Options
from exports_app.resources import faults, registry
from exports_app.resources.base import Resource, Sheet, User, may_export
from exports_app.resources.columns import CONTROLS
from exports_app.resources.queries import Selected

COMPRESSIONS = ("gzip",)
MAX_IDS = 10_000
"""Primary keys that one request may name."""
MAX_COLUMNS = 1_000
"""Columns that one request may name."""
MAX_LABEL = 200
"""Characters of a header."""


def allowed_resource(name: str, user: User, moment: datetime | None = None, *, shown: bool = False) -> Resource:
    """The resource, if there is one and the user may export it.

    One that they may not is no other than one that does not exist, unless its name was ``shown`` to them lawfully, as
    that of their own export: then it is refused as forbidden.
    """
    declared, moment = registry.get(name), moment or clock.now()
    if declared is not None and keys.permit_of(user).allows_resource(declared.name):
        with faults.declared_by(declared):
            resource = declared(moment)
            if may_export(resource, user):
                return resource
            if shown:
                raise errors.PermissionDenied(f"You may not export {resource.get_title()}.")
    known = [each.name for each in registry.allowed(user)]
    raise errors.Invalid.of("resource", errors.unknown("resource", name, known))


def parse_parameters(resource: Resource, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with their defaults. Raises ``errors.Invalid``, nested under ``parameters``."""
    declared = resource.get_parameters_class()
    if declared is None:
        if given:
            message = "This data takes no parameters."
            raise errors.Invalid("The parameters are not valid.", errors={"parameters": [message]})
        return {}
    serializer = declared(data=dict(given))
    known = sorted(serializer.fields)
    wrong: dict[str, Any] = {**errors.unknown_names("parameter", given, known)}
    if not serializer.is_valid():
        wrong |= serializer.errors
    if wrong:
        raise errors.Invalid("The parameters are not valid.", errors={"parameters": wrong})
    return dict(serializer.validated_data)


def parse_options(format_: Format, given: Mapping[str, Any]) -> Options:
    """Typed options. Raises ``errors.Invalid`` for names and values that the format does not know."""
    known_somewhere = {field.name for field in fields(Options)}
    known = sorted(format_.options)
    foreign = [name for name in given if name in known_somewhere]
    wrong = errors.unknown_names(f"option for {format_.name}", foreign, known)
    wrong |= errors.unknown_names("option", (name for name in given if name not in known_somewhere), known)
    problems = {name: option_values.problem(name, value) for name, value in given.items() if name in format_.options}
    wrong |= {name: [problem] for name, problem in problems.items() if problem}
    if wrong:
        raise errors.Invalid("The options are not valid.", errors={"options": wrong})
    return Options(**given)


def choose_format(name: str, compression: str | None, resource: Resource) -> Format:
    """The format, if there is one, the resource has it, and it can be compressed as asked."""
    if name not in formats.FORMATS:
        raise errors.Invalid.of("format", errors.unknown("format", name, list(formats.FORMATS)))
    if resource.formats is not None and name not in resource.formats:
        raise errors.Invalid.of(
            "format", f"{resource.get_title()} cannot be exported as {name}. Valid: {', '.join(resource.formats)}."
        )
    format_ = formats.get_format(name)
    if compression is not None and compression not in COMPRESSIONS:
        raise errors.Invalid.of("compression", errors.unknown("compression", str(compression), list(COMPRESSIONS)))
    if compression and not format_.text:
        raise errors.Invalid.of("compression", f"{name} compresses by itself. Leave compression out.")
    return format_


def choose_sheets(
    resource: Resource, format_: Format, user: User, wanted: Sequence[str] | None, *, shown: bool = False
) -> list[Sheet]:
    """The related tables of the file; where none are named, all that the user may export.

    Raises ``errors.Invalid`` for those that the resource or the format has not, or that the user may not export; with
    ``shown``, ``errors.PermissionDenied`` for these.
    """
    known = [sheet.resource for sheet in resource.sheets]
    if wanted is None or not shown:
        allowed = {each.name for each in registry.allowed(user)}
        known = [name for name in known if name in allowed]
    if unknown := [name for name in wanted or () if name not in known]:
        raise errors.Invalid.of("sheets", errors.unknown("related table", unknown[0], known))
    if wanted and not format_.sheets:
        raise errors.Invalid.of("sheets", f"{format_.name} holds one table. Leave sheets out or choose xlsx.")
    chosen = known if wanted is None else wanted
    return [sheet for sheet in resource.sheets if format_.sheets and sheet.resource in chosen]


def select_columns(
    resource: Resource, user: User, wanted: Sequence[str | Mapping[str, str]] | None, *, shown: bool = False
) -> list[Selected]:
    """The wanted columns, all visible ones where none are named. Raises ``errors.Invalid``.

    ``shown``: the names were shown to the user lawfully; hidden ones raise ``errors.ColumnForbidden``. Otherwise they
    are names like any other that does not exist.
    """
    visible = {column.name: column for column in resource.visible_columns(user)}
    if wanted is None:
        return [Selected(column=column) for column in visible.values()]
    hidden = {column.name for column in resource.get_columns()} - visible.keys()
    chosen: dict[str, Selected] = {}
    names = [each if isinstance(each, str) else each["name"] for each in wanted]
    unknown = errors.unknown_names("column", names, list(visible))
    problems: list[str] = []
    for each in wanted:
        if len(problems) >= errors.MOST_PROBLEMS:
            break
        name, label = (each, None) if isinstance(each, str) else (each["name"], each.get("label"))
        if shown and name in hidden:
            raise errors.ColumnForbidden(f"You may not export the column {name}.", errors={"columns": [name]})
        if name not in visible:
            problems += unknown.get(name, [])
        elif name in chosen:
            problems.append(f"The column {name} is named twice.")
        elif label is not None and CONTROLS.search(label):
            problems.append(f"The label of {name} has a line end, a tab or another control character. Leave it out.")
        else:
            chosen[name] = Selected(column=visible[name], label=label)
    if not wanted:
        problems.append("Choose at least one column, or leave columns out for all of them.")
    if problems:
        raise errors.Invalid("The columns are not valid.", errors={"columns": problems})
    return list(chosen.values())


def refuse_kinds(format_: Format, columns: Sequence[Field]) -> None:
    """Raises ``errors.Invalid`` for what the format cannot hold, with the way out."""
    bad = [column.name for column in columns if column.kind not in format_.kinds]
    if bad:
        raise errors.Invalid.of(
            "format", f"{format_.name} cannot hold the column {bad[0]}. Leave it out or choose another format."
        )
    if format_.max_columns is not None and len(columns) > format_.max_columns:
        raise errors.Invalid.of(
            "columns", f"{format_.name} holds {format_.max_columns:,} columns at most. Leave some out."
        )
