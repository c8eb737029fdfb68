"""Make the audit trail append-only; add the revision row and the first surface aliases."""

from typing import Any

from django.db import migrations

from routing import triggers

ALIASES = ("SQUARED²", "squared2", "SQUARED", "squared")


def protect(_apps: Any, schema_editor: Any) -> None:
    triggers.install(schema_editor)


def unprotect(_apps: Any, schema_editor: Any) -> None:
    triggers.remove(schema_editor)


def seed(apps: Any, _schema_editor: Any) -> None:
    apps.get_model("routing", "SnapshotRevision").objects.get_or_create(pk=1)
    aliases = apps.get_model("routing", "SurfaceAlias").objects
    for alias in ALIASES:
        aliases.get_or_create(alias=alias, defaults={"canonical": "squared2"})


class Migration(migrations.Migration):
    dependencies = [("routing", "0001_control_plane")]

    operations = [
        migrations.RunPython(protect, unprotect),
        migrations.RunPython(seed, migrations.RunPython.noop),
    ]
