# The rows that exist become the beginning of the chain. The triggers that keep it append-only are made after every
# `migrate` (accounts.ledger.guard), because a later migration may make the table anew and lose them.

from django.db import migrations, models

from accounts.ledger.chain import GENESIS, Entry, digest, moment, plain, plain_address, reference

FREE_TEXT = {
    "image.refused": ("file",),
    "history.exported": ("filters",),
    "model.activated": ("reason",),
}
"""What earlier versions kept that may name a patient: names of files, words that were searched for, reasons."""


BATCH = 2_000


def chain(apps, schema_editor):
    events = apps.get_model("accounts", "AuditEvent").objects.using(schema_editor.connection.alias)
    previous, sequence = GENESIS, 0
    while batch := list(events.filter(sequence=None).order_by("pk")[:BATCH]):
        for event in batch:
            sequence += 1
            details = plain(
                {name: value for name, value in event.details.items() if name not in FREE_TEXT.get(event.action, ())}
            )
            address = plain_address(event.address)
            own = digest(
                Entry(
                    sequence=sequence,
                    at=moment(event.at),
                    actor=event.actor_id,
                    role=event.actor_role,
                    action=event.action,
                    object_type=event.object_type,
                    object_id=event.object_id,
                    patient=reference(event.patient_id),
                    address=address,
                    channel=event.channel,
                    purpose=event.purpose,
                    details=details,
                ),
                previous,
            )
            # The key becomes the place in the chain. It never was smaller, so no two rows meet.
            events.filter(pk=event.pk).update(
                id=sequence,
                sequence=sequence,
                previous_digest=previous,
                digest=own,
                details=details,
                address=address,
            )
            previous = own


class Migration(migrations.Migration):

    dependencies = [
        ("accounts", "0002_people_and_ledger"),
    ]

    operations = [
        migrations.RunPython(chain, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["actor", "-id"], name="ledger_of_person"),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["patient", "-id"], name="ledger_of_patient"),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["action", "-id"], name="ledger_of_action"),
        ),
    ]
