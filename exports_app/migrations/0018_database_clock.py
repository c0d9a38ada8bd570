from django.db import migrations, models
from django.db.models.functions import Now

from exports_app import online


class Migration(online.Migration):

    atomic = False

    dependencies = [
        ('exports_app', '0017_preset_sheets'),
    ]

    operations = [
        migrations.AlterField(
            model_name=model,
            name=name,
            field=models.DateTimeField(db_default=Now(), editable=False),
        )
        for model, name in (
            ('apikey', 'created_at'),
            ('exportevent', 'at'),
            ('exportjob', 'created_at'),
            ('exportnotification', 'created_at'),
            ('exportpart', 'stored_at'),
            ('exportperformance', 'created_at'),
            ('exportperson', 'created_at'),
            ('exportpreset', 'created_at'),
            ('exportpreset', 'updated_at'),
            ('exportshare', 'at'),
            ('exporttoken', 'created_at'),
            ('exportwebhook', 'created_at'),
        )
    ] + [
        migrations.CreateModel(  # the last one, so that all of it can be run again
            name='ExportSweep',
            fields=[
                ('id', models.PositiveSmallIntegerField(primary_key=True, serialize=False)),
                ('began_at', models.DateTimeField()),
                ('last_at', models.DateTimeField()),
            ],
        ),
    ]
