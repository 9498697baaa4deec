from django.db import migrations, models


class Migration(migrations.Migration):
    """The dashboard counts released reports of some days among many thousands that never were."""

    dependencies = [("diagnosis", "0004_scope_is_read_from_indexes")]

    operations = [
        migrations.AddIndex(
            model_name="report",
            index=models.Index(
                condition=models.Q(("released_at__isnull", False)), fields=["released_at"], name="report_released"
            ),
        ),
    ]
