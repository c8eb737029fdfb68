"""A strategy lock may hold the ingestion of analytics records, where it says so."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("routing", "0005_registry_mirror")]

    operations = [
        migrations.AddField(
            model_name="strategylock",
            name="holds_ingest",
            field=models.BooleanField(
                default=False,
                help_text=(
                    "Also refuse analytics records while the lock holds; they are kept, and may be replayed after its end."
                ),
                verbose_name="holds ingestion",
            ),
        ),
    ]
