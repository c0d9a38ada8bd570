"""Beside a site that goes on writing: indexes of the jobs, and what each owner has waiting and running.

Whatever ends it, it may be run again.
"""

from importlib import import_module

from django.db import migrations, models, transaction

from exports_app import online

FOLLOW = import_module("exports_app.migrations.0013_turns").FOLLOW

OWNERS = "SELECT DISTINCT owner_id FROM exports_app_exportjob"
# Nobody has a change of this owner's jobs under way once the lock is there; each statement behind it sees them all.
LOCK = "SELECT pg_advisory_xact_lock(1702391924, hashtext(%s::text))"
COUNT = """
INSERT INTO exports_app_exportturn AS turn (owner_id, small, large, running, served_at)
SELECT owner_id,
       count(*) FILTER (WHERE status = 'queued' AND next_attempt_at IS NULL AND queue = 'exports'),
       count(*) FILTER (WHERE status = 'queued' AND next_attempt_at IS NULL AND queue = 'exports.large'),
       count(*) FILTER (WHERE status = 'running'),
       COALESCE(max(started_at), min(created_at) - interval '100 years')
  FROM exports_app_exportjob
 WHERE owner_id = %s
 GROUP BY owner_id
    ON CONFLICT (owner_id) DO UPDATE
   SET small = EXCLUDED.small, large = EXCLUDED.large, running = EXCLUDED.running,
       served_at = GREATEST(turn.served_at, EXCLUDED.served_at)
"""
PLACES = """
INSERT INTO exports_app_exportslot (number, job_id)
SELECT (SELECT COALESCE(max(number), 0) FROM exports_app_exportslot) + row_number() OVER (ORDER BY started_at), id
  FROM exports_app_exportjob AS job
 WHERE owner_id = %s AND status = 'running' AND strategy = 'background'
   AND NOT EXISTS (SELECT FROM exports_app_exportslot WHERE job_id = job.id)
"""


def count_jobs(apps, schema_editor):
    """One owner after another; from then on the trigger need not have those who write wait."""
    connection = schema_editor.connection
    with connection.cursor() as cursor:
        cursor.execute(OWNERS)
        owners = [owner for (owner,) in cursor.fetchall()]
    for owner in owners:
        online.patiently(lambda: _count(connection, owner), f"the turns of owner {owner}")
    schema_editor.execute(FOLLOW.replace("{first}", ""))


def _count(connection, owner):
    with transaction.atomic(connection.alias), online.limited_locks(connection), connection.cursor() as cursor:
        for statement in (LOCK, COUNT, PLACES):
            cursor.execute(statement, [owner])


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('exports_app', '0014_removals'),
    ]

    operations = [
        online.AddIndex(
            model_name='exportjob',
            index=models.Index(fields=['completed_at'], name='export_job_ended_v1'),
        ),
        online.AddIndex(
            model_name='exportjob',
            index=models.Index('queue', 'owner', models.Func(models.Value('UTC'), 'created_at', function='timezone'), 'id', condition=models.Q(('next_attempt_at', None), ('status', 'queued')), name='export_job_due_v1'),
        ),
        online.AddIndex(
            model_name='exportjob',
            index=models.Index(condition=models.Q(('next_attempt_at', None), ('status', 'queued')), fields=['queue', 'rung_at'], name='export_job_bell_v1'),
        ),
        online.AddIndex(
            model_name='exportjob',
            index=models.Index(condition=models.Q(('next_attempt_at__isnull', False), ('status', 'queued')), fields=['next_attempt_at'], name='export_job_later_v1'),
        ),
        online.AddIndex(
            model_name='exportjob',
            index=models.Index(condition=models.Q(models.Q(('file_key', ''), _negated=True), models.Q(('status', 'expired'), models.Q(('deleted_at__isnull', False), ('status', 'completed')), ('status__in', ('cancelled', 'failed')), _connector='OR')), fields=['completed_at'], name='export_job_leaving_v1'),
        ),
        online.AddIndex(
            model_name='exportjob',
            index=models.Index(condition=models.Q(('discard_failures__gt', 0)), fields=['discard_due_at'], name='export_job_refused_v1'),
        ),
        migrations.RunPython(count_jobs, migrations.RunPython.noop, elidable=False),
    ]
