"""What a role needs that rows of exports are read by: the tables and columns of all resources, and no more.

PostgreSQL says what a statement reads: of a view made of it, it keeps on record every column that the view depends on,
those of joins and conditions included.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connections, models, transaction

from exports_app.resources import readings, registry
from exports_app.resources.base import User

Columns = Mapping[tuple[str, str], set[str]]
"""By schema and table; where nothing but the number of rows is read, one column stands for it."""

READ = """
SELECT DISTINCT namespace.nspname, relation.relname, attribute.attname
  FROM pg_rewrite AS rule
  JOIN pg_depend AS needed ON needed.classid = 'pg_rewrite'::regclass AND needed.objid = rule.oid
   AND needed.refclassid = 'pg_class'::regclass AND needed.refobjid <> rule.ev_class
  JOIN pg_class AS relation ON relation.oid = needed.refobjid AND relation.relkind IN ('r', 'p', 'v', 'm', 'f')
  JOIN pg_namespace AS namespace ON namespace.oid = relation.relnamespace
  JOIN pg_attribute AS attribute ON attribute.attrelid = relation.oid AND NOT attribute.attisdropped
   AND attribute.attnum = CASE WHEN needed.refobjsubid <> 0 THEN needed.refobjsubid ELSE (
       SELECT min(first.attnum) FROM pg_attribute AS first
        WHERE first.attrelid = relation.oid AND first.attnum > 0 AND NOT first.attisdropped) END
 WHERE rule.ev_class = 'exports_reading'::regclass
"""
GRANTED = """
SELECT namespace.nspname, relation.relname
  FROM pg_class AS relation JOIN pg_namespace AS namespace ON namespace.oid = relation.relnamespace
 WHERE pg_get_userbyid(relation.relowner) = current_user AND relation.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND EXISTS (
       SELECT 1 FROM (
           SELECT relation.relacl AS acl UNION ALL
           SELECT attribute.attacl FROM pg_attribute AS attribute WHERE attribute.attrelid = relation.oid
       ) AS lists, aclexplode(lists.acl) AS granted JOIN pg_roles AS role ON role.oid = granted.grantee
        WHERE role.rolname = %(role)s)
 ORDER BY 1, 2
"""
GRANTED_LATER = """
SELECT DISTINCT namespace.nspname
  FROM pg_default_acl AS later JOIN pg_namespace AS namespace ON namespace.oid = later.defaclnamespace
 CROSS JOIN aclexplode(later.defaclacl) AS granted JOIN pg_roles AS role ON role.oid = granted.grantee
 WHERE pg_get_userbyid(later.defaclrole) = current_user AND later.defaclobjtype = 'r' AND role.rolname = %(role)s
 ORDER BY 1
"""


def needed(alias: str, users: Iterable[User]) -> tuple[Columns, list[str]]:
    """What the resources read of this database for any of the users, and what could not be found out, in sentences."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    doubts: list[str] = []
    people = list(users)
    for declared in registry.every():
        resource = declared()
        try:
            texts = {text for user in people for at, text in readings.of(resource, user) if at == alias}
            with _views(alias) as columns_of:
                for text in sorted(texts):
                    for schema, table, column in columns_of(text):
                        found[schema, table].add(column)
        except Exception as error:  # whatever a declaration does: the others are told all the same
            doubts.append(f"{declared.name} could not be read ({type(error).__name__}); manage.py check may say more.")
        doubts += [f"The filter {each} of {declared.name} does not say what it reads (filter_reads)."
                   for each in readings.unknown(resource)]  # fmt: skip
    return found, doubts


def statements(alias: str, role: str, columns: Columns) -> list[str]:
    """SQL after which the role reads this, and nothing else of what the present role owns."""
    quote, name, made = _quoted, _quoted(role), list[str]()
    with connections[alias].cursor() as cursor:
        cursor.execute(GRANTED, {"role": role})
        for schema, table in cursor.fetchall():
            made.append(f"REVOKE SELECT ON {quote(schema)}.{quote(table)} FROM {name}")  # noqa: S608 - quoted
        cursor.execute(GRANTED_LATER, {"role": role})
        for (schema,) in cursor.fetchall():
            made.append(f"ALTER DEFAULT PRIVILEGES IN SCHEMA {quote(schema)} REVOKE SELECT ON TABLES FROM {name}")  # noqa: S608
    for schema in map(quote, sorted({schema for schema, _ in columns} - {"public"})):
        made.append(f"GRANT USAGE ON SCHEMA {schema} TO {name}")
    for (schema, table), names in sorted(columns.items()):
        listed = ", ".join(quote(each) for each in sorted(names))
        made.append(f"GRANT SELECT ({listed}) ON {quote(schema)}.{quote(table)} TO {name}")
    return made


def apply(alias: str, made: Iterable[str]) -> None:
    """All of it at once, so that a running export never finds itself without a right that it keeps."""
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        for statement in made:
            cursor.execute(statement)


def role_exists(alias: str, role: str) -> bool:
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = %s)", [role])
        return bool(cursor.fetchone()[0])


def anybody() -> Iterator[User]:
    """People who exist nowhere: one with no permission, and where the project has such, one with all."""
    for is_superuser in (False, True):
        user: Any = get_user_model()()
        key = user._meta.pk
        user.pk = key.get_default() if key.has_default() else 0 if isinstance(key, models.IntegerField) else ""
        user.is_active, user.is_superuser = True, is_superuser
        yield user


def _quoted(name: str) -> str:
    """Also a name that holds a quotation mark, which Django's own quoting leaves as it is."""
    return '"' + name.replace('"', '""') + '"'


@contextmanager
def _views(alias: str) -> Iterator[Any]:
    """A function from a statement to the columns that it reads; what it makes in the database never stays."""

    def columns_of(text: str) -> list[tuple[str, str, str]]:
        with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
            cursor.execute("DROP VIEW IF EXISTS exports_reading")
            cursor.execute(f"CREATE TEMP VIEW exports_reading AS SELECT count(*) FROM ({text}) AS read")  # noqa: S608
            cursor.execute(READ)
            return list(cursor.fetchall())

    with transaction.atomic(using=alias):
        yield columns_of
        transaction.set_rollback(True, using=alias)
