"""Secrets of webhooks may be encrypted, and a former one signs for a while beside the new one.

Those of before are sealed by the upkeep once the release before is surely gone: it cannot read sealed ones.
"""

from django.db import migrations, models

import exports_app.sealed
from exports_app import online
from exports_app.sealed import Sealed, unseal


def open_again(apps, schema_editor):
    for webhook in apps.get_model("exports_app", "ExportWebhook").objects.iterator():
        webhook.secret = Sealed(unseal(webhook.secret))  # written as it is
        webhook.save(update_fields=["secret"])


class Migration(online.Migration):
    dependencies = [("exports_app", "0009_shares")]
    operations = [
        migrations.AlterField("exportwebhook", "secret", exports_app.sealed.SealedField()),
        migrations.AddField(
            "exportwebhook", "former_secret", exports_app.sealed.SealedField(blank=True, db_default="", default="")
        ),
        migrations.AddField("exportwebhook", "former_until", models.DateTimeField(blank=True, null=True)),
        migrations.RunPython(migrations.RunPython.noop, open_again),
    ]
