"""Budgets near their limit, for the dashboard."""

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="BudgetNearLimit",
            fields=[
                ("key", models.CharField(max_length=700, primary_key=True, serialize=False)),
                ("tenant_id", models.CharField(max_length=64)),
                ("env", models.CharField(max_length=31)),
                ("project_id", models.CharField(blank=True, max_length=128)),
                ("user_id", models.CharField(blank=True, max_length=128)),
                ("provider", models.CharField(max_length=64)),
                ("metric", models.CharField(max_length=64)),
                ("level", models.CharField(max_length=16)),
                ("taken", models.CharField(max_length=40)),
                ("limit", models.CharField(blank=True, max_length=40)),
                ("share", models.PositiveIntegerField()),
                ("why", models.CharField(max_length=200)),
                ("resets_at", models.DateTimeField(null=True)),
                ("seen_at", models.DateTimeField()),
            ],
            options={
                "ordering": ["-share", "key"],
                "indexes": [models.Index(fields=["tenant_id", "env"], name="near_limits_of_a_place")],
            },
        ),
    ]
