"""A library's tables, and what exports of them hold."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from django.db import models

from exports_app.plan import Request, make_plan


class Shelf(models.Model):
    objects: models.Manager[Any] = models.Manager()
    name = models.TextField(unique=True)

    class Meta:
        app_label, managed, db_table = "declaring", False, "declaring_shelf"

    def __str__(self) -> str:
        return self.name


class Book(models.Model):
    objects: models.Manager[Any] = models.Manager()
    title = models.TextField()
    owner = models.TextField()
    published = models.BooleanField(null=True)
    pages = models.IntegerField()
    price = models.DecimalField(max_digits=8, decimal_places=2)
    rating = models.FloatField(default=0)
    state = models.TextField(choices=[("ON_LOAN", "On loan"), ("IN_STOCK", "In stock"), ("LOST", "Lost")])
    code = models.UUIDField()
    bought_on = models.DateField()
    read_at = models.DateTimeField()
    opens_at = models.TimeField()
    took = models.DurationField()
    shelf = models.ForeignKey(Shelf, models.DO_NOTHING, null=True)

    class Meta:
        app_label, managed, db_table = "declaring", False, "declaring_book"


TABLES = """
CREATE TABLE declaring_shelf (id bigint PRIMARY KEY, name text UNIQUE NOT NULL);
CREATE TABLE declaring_book (
    id bigint PRIMARY KEY, title text NOT NULL, owner text NOT NULL, published bool, pages int NOT NULL,
    price numeric(8, 2) NOT NULL, rating float8 NOT NULL, state text NOT NULL, code uuid NOT NULL,
    bought_on date NOT NULL, read_at timestamptz NOT NULL, opens_at time NOT NULL, took interval NOT NULL,
    shelf_id bigint REFERENCES declaring_shelf
);
INSERT INTO declaring_shelf VALUES (10, 'Novels'), (20, 'Poems'), (30, 'Smith, John');
INSERT INTO declaring_book
SELECT n, 'Book ' || n, owner, published, n * 100, n + 0.5, n * 1.5, state, ('00000000-0000-0000-0000-00000000000' || n)::uuid,
       date '2024-01-01' + n, timestamptz '2024-01-01 12:00+00' + n * interval '1 day', time '08:00' + n * interval '1 hour',
       n * interval '1 hour', shelf
  FROM (VALUES (1, 'alice', false, 'ON_LOAN', 10), (2, 'alice', true, 'IN_STOCK', 20), (3, 'bob', false, 'LOST', 30),
               (4, 'bob', true, 'IN_STOCK', NULL)) AS v(n, owner, published, state, shelf);
"""  # noqa: E501


def exported(user: Any, name: str, **request: Any) -> list[str]:
    """The lines of the CSV file behind its header, in its order."""
    plan = make_plan(Request(resource=name, **request), user)
    encoder = plan.encoder()
    pieces, rows = [encoder.start()], 0
    with closing(plan.open_source()) as source:
        while (chunk := source.read(1_000)) is not None:
            pieces.append(encoder.write(chunk))
            rows += chunk.rows
    return b"".join([*pieces, encoder.finish(rows)]).decode().splitlines()[1:]


def ids(user: Any, name: str, **filters: Any) -> list[int]:
    """The ids in the file that these filters give."""
    return [int(line) for line in exported(user, name, columns=["id"], filters=filters)]
