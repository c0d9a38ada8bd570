"""Secrets of webhooks are encrypted at rest, and a former one signs for a while beside the new one."""

from django.db import migrations, models

import exports_app.sealed
from exports_app.sealed import Sealed, unseal


def seal(apps, schema_editor):
    for webhook in apps.get_model("exports_app", "ExportWebhook").objects.iterator():
        webhook.secret = str(webhook.secret)  # a plain text, which the field seals
        webhook.save(update_fields=["secret"])


def open_again(apps, schema_editor):
    for webhook in apps.get_model("exports_app", "ExportWebhook").objects.iterator():
        webhook.secret = Sealed(unseal(webhook.secret))  # written as it is
        webhook.save(update_fields=["secret"])


class Migration(migrations.Migration):
    dependencies = [("exports_app", "0009_shares")]
    operations = [
        migrations.AlterField("exportwebhook", "secret", exports_app.sealed.SealedField()),
        migrations.AddField(
            "exportwebhook", "former_secret", exports_app.sealed.SealedField(blank=True, default="")
        ),
        migrations.AddField("exportwebhook", "former_until", models.DateTimeField(blank=True, null=True)),
        migrations.RunPython(seal, open_again),
    ]
