"""``patients/``: the people whose images are read."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import exceptions, generics, status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import actions, audit
from accounts.api.serializers import PatientSerializer
from accounts.models import Patient
from accounts.search import patient_search

EXAMPLE = {
    "mrn": "MRN-001",
    "given_name": "Zofia",
    "family_name": "Żółć",
    "birth_date": "1968-03-12",
    "sex": "F",
}
ANSWER = {
    "id": "5b0c8a1e-6a0e-4e57-9f0b-1f8f0b1c2d3e",
    **EXAMPLE,
    "phone": "",
    "email": "",
    "history": "",
    "created_at": "2026-11-21T13:00:00Z",
    "updated_at": "2026-11-21T13:00:00Z",
}
EXAMPLES = [
    OpenApiExample("request", value=EXAMPLE, request_only=True),
    OpenApiExample("answer", value=ANSWER, response_only=True),
]
REFUSED = OpenApiResponse(description="A field is missing or not allowed; `fields` says which and why.")


class PatientList(generics.GenericAPIView[Patient]):
    """All patients, by MRN."""

    serializer_class = PatientSerializer
    required_permissions = {"GET": ("patient", "view"), "POST": ("patient", "create")}
    list_ordering = ("mrn",)

    def get_queryset(self) -> Any:
        if not self.request:
            return Patient.objects.none()
        words = self.request.query_params.get("q", "")
        if "\0" in words or len(words) > 200:
            raise exceptions.ValidationError({"q": ["Search for a name or an MRN of at most 200 characters."]})
        return Patient.objects.visible_to(self.request.user).filter(patient_search("", words))

    @extend_schema(
        summary="List patients",
        parameters=[OpenApiParameter("q", str, description="Words of the name, or of the MRN.")],
        responses={200: PatientSerializer(many=True)},
        examples=EXAMPLES,
    )
    def get(self, request: Request) -> Response:
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(summary="Create a patient", responses={201: PatientSerializer, 400: REFUSED}, examples=EXAMPLES)
    def post(self, request: Request) -> Response:
        asked = self.get_serializer(data=request.data)
        asked.is_valid(raise_exception=True)
        patient = actions.create_patient(acting_user=request.user, **asked.validated_data)
        return Response(self.get_serializer(patient).data, status=status.HTTP_201_CREATED)


class PatientDetail(generics.GenericAPIView[Patient]):
    """One patient."""

    serializer_class = PatientSerializer
    queryset = Patient.objects.all()
    required_permissions = {"GET": ("patient", "view"), "PATCH": ("patient", "change")}

    def get_queryset(self) -> Any:
        return Patient.objects.visible_to(self.request.user)

    @extend_schema(summary="Read a patient", examples=EXAMPLES)
    def get(self, request: Request, pk: Any) -> Response:
        patient = self.get_object()
        audit.record_viewing("patient.viewed", actor=request.user, target=patient, patient=patient)
        return Response(self.get_serializer(patient).data)

    @extend_schema(
        summary="Change a patient",
        responses={200: PatientSerializer, 400: REFUSED},
        examples=[
            OpenApiExample("request", value={"family_name": "Żółć-Nowak"}, request_only=True),
            OpenApiExample("answer", value={**ANSWER, "family_name": "Żółć-Nowak"}, response_only=True),
        ],
    )
    def patch(self, request: Request, pk: Any) -> Response:
        patient = self.get_object()
        asked = self.get_serializer(patient, data=request.data, partial=True)
        asked.is_valid(raise_exception=True)
        changed = actions.update_patient(acting_user=request.user, patient=patient, **asked.validated_data)
        return Response(self.get_serializer(changed).data)
