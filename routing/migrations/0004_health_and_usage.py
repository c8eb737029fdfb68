"""How routes do, what they used, and which process has which revision."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("routing", "0003_strategy_locks"),
    ]

    operations = [
        migrations.CreateModel(
            name="RouteHealth",
            fields=[
                (
                    "route",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="health",
                        serialize=False,
                        to="routing.route",
                    ),
                ),
                ("ok", models.BooleanField(null=True)),
                ("probed_at", models.DateTimeField(null=True)),
                ("probed_revision", models.PositiveBigIntegerField(default=0)),
                ("steps", models.JSONField(default=list)),
                ("error_code", models.CharField(blank=True, max_length=64)),
                ("error", models.TextField(blank=True)),
                ("fix", models.TextField(blank=True)),
                ("failures", models.PositiveIntegerField(default=0)),
                ("next_probe_at", models.DateTimeField()),
                ("failed_at", models.DateTimeField(null=True)),
                ("failed_operation", models.CharField(blank=True, max_length=32)),
                ("failed_code", models.CharField(blank=True, max_length=64)),
                ("failed_error", models.TextField(blank=True)),
            ],
            options={
                "verbose_name_plural": "route health",
            },
        ),
        migrations.CreateModel(
            name="ServerProcess",
            fields=[
                ("name", models.CharField(max_length=200, primary_key=True, serialize=False)),
                ("role", models.CharField(max_length=16)),
                ("started_at", models.DateTimeField()),
                ("revision", models.BigIntegerField()),
                ("revision_since", models.DateTimeField()),
                ("seen_at", models.DateTimeField(db_index=True)),
            ],
            options={
                "verbose_name_plural": "server processes",
            },
        ),
        migrations.CreateModel(
            name="RouteUsage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("route_id", models.BigIntegerField()),
                ("day", models.DateField(db_index=True)),
                ("measure", models.CharField(max_length=32)),
                ("amount", models.BigIntegerField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("route_id", "day", "measure"), name="one_amount_per_day_and_measure"
                    )
                ],
            },
        ),
    ]
