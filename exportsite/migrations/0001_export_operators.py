"""A group with the permissions by which staff operated exports, for those who are staff now."""

from __future__ import annotations

from django.conf import settings
from django.db import migrations

GROUP = "Export operators"
MODELS = ("exportjob", "exportpart", "exportevent", "exportnotification", "exportperformance")
CODENAMES = (*(f"view_{model}" for model in MODELS), "change_exportjob", "unlimited")


def make_group(apps, schema_editor):
    ContentType = apps.get_model("contenttypes", "ContentType")
    Permission = apps.get_model("auth", "Permission")
    group, _ = apps.get_model("auth", "Group").objects.get_or_create(name=GROUP)
    for codename in CODENAMES:
        model = "exportjob" if codename == "unlimited" else codename.partition("_")[2]
        kind, _ = ContentType.objects.get_or_create(app_label="exports_app", model=model)
        # Django makes permissions once all migrations are done, and finds these then.
        permission, _ = Permission.objects.get_or_create(
            content_type=kind, codename=codename, defaults={"name": f"Can {codename.replace('_', ' ')}"}
        )
        group.permissions.add(permission)
    for user in apps.get_model(*settings.AUTH_USER_MODEL.split(".")).objects.filter(is_staff=True):
        user.groups.add(group)


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("exports_app", "0006_rights_and_persons"),
    ]
    operations = [migrations.RunPython(make_group, migrations.RunPython.noop)]
