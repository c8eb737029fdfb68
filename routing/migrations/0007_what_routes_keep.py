"""Permissions on what routes keep, for the pages of the back office that show it."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("routing", "0006_locks_hold_ingest")]

    operations = [
        migrations.AlterModelOptions(
            name="route",
            options={
                "ordering": ["tenant", "env", "resource_kind", "project_id"],
                "permissions": [
                    ("view_stored", "Can see what routes keep: the data of tenants"),
                    ("change_stored", "Can change what routes keep"),
                    ("administer_stored", "Can change what routes keep where that is an administrator's business"),
                ],
            },
        ),
    ]
