from django.db import migrations

import accounts.folding


def fill(apps, schema_editor):
    Patient = apps.get_model("accounts", "Patient")
    for patient in Patient.objects.iterator():
        patient.save(update_fields=["search_text"])


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]

    operations = [
        migrations.AddField(
            "patient", "search_text", accounts.folding.FoldedField(sources=("mrn", "family_name", "given_name"))
        ),
        migrations.RunPython(fill, migrations.RunPython.noop, elidable=True),
    ]
