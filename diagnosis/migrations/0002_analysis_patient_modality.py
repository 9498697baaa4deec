import django.db.models.deletion
from django.db import migrations, models
from django.db.models import OuterRef, Subquery


def fill(apps, schema_editor):
    Analysis = apps.get_model("diagnosis", "Analysis")
    Image = apps.get_model("diagnosis", "Image")
    image = Image.objects.filter(pk=OuterRef("image_id"))
    Analysis.objects.update(
        patient_id=Subquery(image.values("study__patient_id")), modality=Subquery(image.values("study__modality"))
    )


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial"), ("diagnosis", "0001_initial")]

    operations = [
        migrations.AddField(
            "analysis",
            "patient",
            models.ForeignKey(
                "accounts.Patient",
                db_index=False,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="analyses",
            ),
        ),
        migrations.AddField("analysis", "modality", models.CharField(max_length=4, default="", editable=False)),
        migrations.RunPython(fill, migrations.RunPython.noop, elidable=True),
    ]
