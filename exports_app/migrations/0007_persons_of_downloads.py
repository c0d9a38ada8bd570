"""Entries of downloads with a name in them are found by the upkeep, which parts them (``persons.part``).

The release before goes on showing them, and writing such ones, as long as it runs.
"""

from django.db import migrations, models

from exports_app import online


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("exports_app", "0006_rights_and_persons")]
    operations = [
        online.AddIndex(
            "exportevent",
            models.Index(
                fields=["id"], condition=models.Q(kind="downloaded", data__has_key="by"), name="export_event_named_v1"
            ),
        ),
    ]
