"""How far the routing registry mirrors this database; audit rows are numbered without gaps; REPLACE of one is refused too."""

from typing import Any

from django.db import migrations, models

from routing import triggers


def protect(_apps: Any, schema_editor: Any) -> None:
    triggers.install(schema_editor)


def number(apps: Any, _schema_editor: Any) -> None:
    """Rows counted so far, and a sequence that a rolled back insert had moved on, may differ: go on from the greater."""
    last = apps.get_model("routing", "RouteChange").objects.aggregate(last=models.Max("id"))["last"]
    apps.get_model("routing", "SnapshotRevision").objects.filter(audit_rows__lt=last or 0).update(audit_rows=last or 0)


class Migration(migrations.Migration):
    dependencies = [("routing", "0004_health_and_usage")]

    operations = [
        migrations.CreateModel(
            name="RegistryMirror",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("mirrored", models.PositiveBigIntegerField(default=0)),
                ("mirrored_at", models.DateTimeField(null=True)),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("next_attempt_at", models.DateTimeField(null=True)),
                ("last_error", models.TextField(blank=True)),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="one_registry_mirror")],
            },
        ),
        migrations.AddIndex(
            model_name="outboxentry",
            index=models.Index(
                condition=models.Q(("delivered_at__isnull", True)),
                fields=["tenant_id", "env", "stream_id", "id"],
                name="outbox_waiting_for_stream",
            ),
        ),
        migrations.RunPython(protect, migrations.RunPython.noop),
        migrations.RunPython(number, migrations.RunPython.noop),
    ]
