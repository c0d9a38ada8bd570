from django.db import migrations, models

from exports_app import online


class Migration(online.Migration):

    dependencies = [
        ('exports_app', '0016_equal_parts'),
    ]

    operations = [
        migrations.AddField(
            model_name='exportpreset',
            name='sheets',
            field=models.JSONField(blank=True, null=True),
        ),
    ]
