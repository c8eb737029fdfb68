"""A strategy lock names a place by its four-part key instead of a row, so that it outlasts the route."""

from typing import Any

from django.db import migrations, models


def name_places(apps: Any, _schema_editor: Any) -> None:
    for lock in apps.get_model("routing", "StrategyLock").objects.exclude(route=None).select_related("route"):
        lock.resource_kind, lock.project_id = lock.route.resource_kind, lock.route.project_id
        lock.save()


class Migration(migrations.Migration):
    dependencies = [("routing", "0002_append_only_and_seeds")]

    operations = [
        migrations.AlterModelOptions(
            name="strategylock",
            options={
                "ordering": ["-id"],
                "permissions": [("override_lock", "Can pass another's strategy lock, or release it, with a rationale")],
            },
        ),
        migrations.AddField(
            model_name="strategylock",
            name="resource_kind",
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.AddField(
            model_name="strategylock",
            name="project_id",
            field=models.CharField(blank=True, max_length=128, null=True),
        ),
        migrations.RunPython(name_places, migrations.RunPython.noop),
        migrations.RemoveField(model_name="strategylock", name="route"),
        migrations.AddField(
            model_name="strategylock",
            name="released_by",
            field=models.CharField(blank=True, editable=False, max_length=200),
        ),
        migrations.AlterField(
            model_name="strategylock",
            name="created_at",
            field=models.DateTimeField(editable=False),
        ),
        migrations.AlterField(
            model_name="strategylock",
            name="released_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddIndex(
            model_name="strategylock",
            index=models.Index(fields=["tenant", "env"], name="locks_of_a_place"),
        ),
    ]
