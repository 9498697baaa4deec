"""Telephone numbers, e-mail addresses of patients, and messages are encrypted, what is there included."""

import django.core.validators
from django.db import migrations, models
from django.db.models.functions import Cast

import accounts.encryption
from accounts.encryption import Sealed, seal, unseal

COLUMNS = (("Patient", "phone"), ("Patient", "email"), ("Message", "text"))


def _rewrite(apps, schema_editor, rewritten):
    """Give every value that is not empty to ``rewritten``, and store what it returns; ``None``: leave it."""
    for name, column in COLUMNS:
        rows = apps.get_model("accounts", name)._default_manager
        stored = rows.annotate(stored=Cast(column, models.TextField())).exclude(stored="").order_by("pk")
        for pk, value in list(stored.values_list("pk", "stored")):
            changed = rewritten(value)
            if changed is not None:
                rows.filter(pk=pk).update(**{column: Sealed(changed)})
    if schema_editor.connection.vendor == "postgresql":
        # It alters no table on which checks of changed rows are still due.
        schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        schema_editor.execute("SET CONSTRAINTS ALL DEFERRED")


def encrypt(apps, schema_editor):
    _rewrite(apps, schema_editor, lambda value: seal(value) if unseal(value) is None else None)


def decrypt(apps, schema_editor):
    _rewrite(apps, schema_editor, unseal)


class Migration(migrations.Migration):

    dependencies = [
        ("accounts", "0004_one_line_names_and_imports"),
    ]

    operations = [
        migrations.AlterField(
            model_name="patient",
            name="phone",
            field=accounts.encryption.EncryptedCharField(blank=True, max_length=40),
        ),
        migrations.AlterField(
            model_name="patient",
            name="email",
            field=accounts.encryption.EncryptedEmailField(blank=True, max_length=254, verbose_name="e-mail"),
        ),
        migrations.AlterField(
            model_name="message",
            name="text",
            field=accounts.encryption.EncryptedTextField(
                validators=[django.core.validators.MaxLengthValidator(4000)]
            ),
        ),
        migrations.RunPython(encrypt, decrypt, elidable=False),
    ]
