"""Keys of our own model. Tokens of before go on working: their digests are the same."""

import django.db.models.deletion
import django.utils.timezone
import uuid
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import migrations, models
from django.utils import timezone

BATCH = 1_000


def carry_over(apps, schema_editor):
    """All that a token opened, its key opens, until the password changes that its user has now.

    The mark of that is made here and not at the first use: a token that nobody uses would else outlive any change.
    """
    ApiToken, ApiKey = apps.get_model("exports_app", "ApiToken"), apps.get_model("exports_app", "ApiKey")
    made = (
        ApiKey(
            user_id=token.user_id,
            name=token.name,
            prefix=token.token_key[:8],
            digest=token.digest,
            scopes=["read", "export", "manage"],
            password_mark=_mark(token.user),
            created_at=token.created,
            expires_at=token.expiry,
        )
        for token in ApiToken.objects.select_related("user").iterator(BATCH)
    )
    ApiKey.objects.bulk_create(made, batch_size=BATCH)


def mark_links(apps, schema_editor):
    """One-time links that still work: the same."""
    ExportToken = apps.get_model("exports_app", "ExportToken")
    waiting = ExportToken.objects.filter(redeemed_at=None, revoked_at=None, expires_at__gt=timezone.now())
    for token in waiting.select_related("created_by").iterator(BATCH):
        ExportToken.objects.filter(pk=token.pk).update(password_mark=_mark(token.created_by))


def _mark(user):
    """By the project's own class of users: what their sessions end by may be a rule of its own."""
    from exports_app import passwords

    values = {field.attname: getattr(user, field.attname) for field in user._meta.concrete_fields}
    return passwords.mark_of(get_user_model()(**values))


class Migration(migrations.Migration):

    dependencies = [
        ('exports_app', '0010_sealed_webhook_secrets'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='exporttoken',
            name='password_mark',
            field=models.CharField(blank=True, default='', max_length=64),
        ),
        migrations.CreateModel(
            name='ApiKey',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(blank=True, default='', max_length=100)),
                ('prefix', models.CharField(max_length=25)),
                ('digest', models.CharField(max_length=128, unique=True)),
                ('scopes', models.JSONField(default=list)),
                ('resources', models.JSONField(blank=True, default=list)),
                ('password_mark', models.CharField(max_length=64)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('expires_at', models.DateTimeField(blank=True, null=True)),
                ('last_used_at', models.DateTimeField(blank=True, null=True)),
                ('last_used_from', models.CharField(blank=True, default='', max_length=45)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='export_keys', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'API key',
                'ordering': ['-created_at', '-id'],
            },
        ),
        migrations.RunPython(carry_over, migrations.RunPython.noop),
        migrations.RunPython(mark_links, migrations.RunPython.noop),
        migrations.DeleteModel(
            name='ApiToken',
        ),
    ]
