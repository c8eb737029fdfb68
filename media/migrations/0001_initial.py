"""Which scopes hold media."""

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []

    operations = [
        migrations.CreateModel(
            name="MediaScope",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("tenant_id", models.CharField(max_length=64)),
                ("env", models.CharField(max_length=31)),
                ("project_id", models.CharField(blank=True, max_length=128)),
                ("surface_id", models.CharField(max_length=128)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ["tenant_id", "env", "project_id", "surface_id"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant_id", "env", "project_id", "surface_id"), name="one_row_per_media_scope"
                    )
                ],
            },
        ),
    ]
