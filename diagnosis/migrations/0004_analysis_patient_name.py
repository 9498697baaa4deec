from django.db import migrations, models

from accounts.folding import fold


def fill(apps, schema_editor):
    Analysis = apps.get_model("diagnosis", "Analysis")
    Patient = apps.get_model("accounts", "Patient")
    for patient in Patient.objects.filter(analyses__isnull=False).distinct().iterator():
        name = fold(f"{patient.family_name} {patient.given_name} {patient.mrn}")[:300]
        Analysis.objects.filter(patient_id=patient.pk).update(patient_name=name)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_patient_search_text"), ("diagnosis", "0003_history_indexes")]

    operations = [
        migrations.AddField(
            "analysis",
            "patient_name",
            models.CharField(default="", editable=False, max_length=300),
            preserve_default=False,
        ),
        migrations.RunPython(fill, migrations.RunPython.noop, elidable=True),
        migrations.AddIndex(
            "analysis", models.Index(fields=["patient_name", "-queued_at"], name="analysis_by_patient_name")
        ),
    ]
