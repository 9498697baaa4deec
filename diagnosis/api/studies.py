"""``studies/``: one examination of one patient each."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import exceptions, generics, status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import audit
from diagnosis import actions
from diagnosis.api import examples
from diagnosis.api.serializers import RefusalSerializer, StudySerializer
from diagnosis.filters import StudyFilter
from diagnosis.models import Image, Study

ORDERINGS = ("-created_at", "created_at")
EXAMPLES = [
    OpenApiExample("request", value=examples.STUDY_REQUEST, request_only=True),
    OpenApiExample("answer", value=examples.STUDY, response_only=True),
]


def _studies(user: Any) -> Any:
    images = Image.objects.select_related("analysis").order_by("created_at")
    return Study.objects.visible_to(user).select_related("patient").prefetch_related(Prefetch("images", images))


class StudyList(generics.GenericAPIView[Study]):
    """All studies, newest first."""

    serializer_class = StudySerializer
    queryset = Study.objects.all()
    filter_backends = (DjangoFilterBackend,)
    filterset_class = StudyFilter
    required_permissions = {"GET": ("study", "view"), "POST": ("study", "create")}

    def get_queryset(self) -> Any:
        return _studies(self.request.user)

    def get_list_ordering(self) -> tuple[str, ...]:
        wanted = self.request.query_params.get("ordering", ORDERINGS[0])
        if wanted not in ORDERINGS:
            raise exceptions.ValidationError({"ordering": [f"Order by one of: {', '.join(ORDERINGS)}."]})
        return (wanted,)

    @extend_schema(
        summary="List studies",
        parameters=[OpenApiParameter("ordering", str, enum=ORDERINGS, description="Newest or oldest first.")],
        responses={200: StudySerializer(many=True), 400: RefusalSerializer},
        examples=EXAMPLES,
    )
    def get(self, request: Request) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(
        summary="Create a study",
        responses={
            201: StudySerializer,
            400: OpenApiResponse(RefusalSerializer, description="A field is missing or not allowed."),
        },
        examples=EXAMPLES,
    )
    def post(self, request: Request) -> Response:
        asked = self.get_serializer(data=request.data)
        asked.is_valid(raise_exception=True)
        study = actions.create_study(acting_user=request.user, **asked.validated_data)
        return Response(self.get_serializer(study).data, status=status.HTTP_201_CREATED)


class StudyDetail(generics.GenericAPIView[Study]):
    """One study with its images and the state of their analyses."""

    serializer_class = StudySerializer
    queryset = Study.objects.all()
    required_permissions = {"GET": ("study", "view")}

    def get_queryset(self) -> Any:
        return _studies(self.request.user)

    @extend_schema(summary="Read a study", examples=EXAMPLES)
    def get(self, request: Request, pk: Any) -> Response:
        study = self.get_object()
        audit.record_viewing("study.viewed", actor=request.user, target=study, patient=study.patient)
        return Response(self.get_serializer(study).data)
