"""Keys of our own model. Tokens of before go on working: their digests are the same.

Their table stays for the release before, which goes on asking and filling it as long as it runs; ``handover`` makes keys
of them. It is dropped by the release after this one.
"""

import django.db.models.deletion
import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models

from exports_app import online

# What is revoked by one of both releases is revoked for the other one.
REVOKE = """
CREATE FUNCTION exports_app_revoke_key() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM exports_app_apikey WHERE digest = OLD.digest;
    RETURN NULL;
END $$;
CREATE FUNCTION exports_app_revoke_token() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM exports_app_apitoken WHERE digest = OLD.digest;
    RETURN NULL;
END $$;
CREATE TRIGGER exports_app_revoke_key AFTER DELETE ON exports_app_apitoken
    FOR EACH ROW EXECUTE FUNCTION exports_app_revoke_key();
CREATE TRIGGER exports_app_revoke_token AFTER DELETE ON exports_app_apikey
    FOR EACH ROW EXECUTE FUNCTION exports_app_revoke_token();
"""
FORGET = """
DROP TRIGGER exports_app_revoke_key ON exports_app_apitoken;
DROP TRIGGER exports_app_revoke_token ON exports_app_apikey;
DROP FUNCTION exports_app_revoke_key();
DROP FUNCTION exports_app_revoke_token();
"""


def let_users_go(apps, schema_editor):
    """Whoever deletes a user need not know of tokens: the upkeep removes those of nobody."""
    Token, quote = apps.get_model("exports_app", "ApiToken"), schema_editor.quote_name
    for name in schema_editor._constraint_names(Token, ["user_id"], foreign_key=True):
        schema_editor.execute(f"ALTER TABLE {quote(Token._meta.db_table)} DROP CONSTRAINT {quote(name)}")


class Migration(online.Migration):

    dependencies = [
        ('exports_app', '0010_sealed_webhook_secrets'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='exporttoken',
            name='password_mark',
            field=models.CharField(blank=True, db_default='', default='', max_length=64),
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
        migrations.RunPython(let_users_go, migrations.RunPython.noop),
        online.DeleteWith('apikey', 'user'),
        migrations.RunSQL(REVOKE, FORGET),
        migrations.SeparateDatabaseAndState(state_operations=[migrations.DeleteModel(name='ApiToken')]),
    ]
