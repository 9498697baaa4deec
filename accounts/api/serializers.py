"""What the REST API takes and gives about people."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from accounts.models import Patient


class TokenRequest(serializers.Serializer[Any]):
    """E-mail address and password; the one-time code only for accounts that have a second factor."""

    email = serializers.EmailField(max_length=254)
    password = serializers.CharField(max_length=1000, trim_whitespace=False, style={"input_type": "password"})
    otp = serializers.CharField(max_length=20, required=False, allow_blank=True)


class TokenGiven(serializers.Serializer[Any]):
    """The token is shown this once."""

    token = serializers.CharField(read_only=True)
    expires_at = serializers.DateTimeField(read_only=True)


class PatientSerializer(serializers.ModelSerializer[Patient]):
    """A patient record."""

    class Meta:
        model = Patient
        fields = [
            "id",
            "mrn",
            "given_name",
            "family_name",
            "birth_date",
            "sex",
            "phone",
            "email",
            "history",
            "created_at",
            "updated_at",
        ]
        read_only_fields = ["id", "created_at", "updated_at"]
