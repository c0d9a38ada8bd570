"""Names and addresses leave the entries of downloads for a table of their own, which goes with the user."""

import uuid
from itertools import islice

from django.conf import settings
from django.db import migrations

BATCH = 1_000


def part(apps, schema_editor):
    Event = apps.get_model("exports_app", "ExportEvent")
    Person = apps.get_model("exports_app", "ExportPerson")
    User = apps.get_model(*settings.AUTH_USER_MODEL.split("."))
    events = Event.objects.filter(kind="downloaded", data__has_key="by").order_by("pk").iterator(BATCH)
    while batch := list(islice(events, BATCH)):
        known = set(User.objects.filter(pk__in={each.data.get("user") for each in batch}).values_list("pk", flat=True))
        persons = []
        for each in batch:
            data = each.data
            person = Person(
                id=uuid.uuid4(), user_id=data.get("user"), name=data["by"][:254], address=data.get("address", "")[:45]
            )
            if person.user_id in known:
                persons.append(person)
            kept = {name: data[name] for name in ("via", "token") if name in data}
            each.data = {"person": str(person.pk), **kept}
        Person.objects.bulk_create(persons)
        Event.objects.bulk_update(batch, ["data"])


class Migration(migrations.Migration):
    dependencies = [("exports_app", "0006_rights_and_persons")]
    operations = [migrations.RunPython(part, migrations.RunPython.noop)]
