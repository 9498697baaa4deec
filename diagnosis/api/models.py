"""``models/``: which models are installed, and what each one's card says."""

from __future__ import annotations

from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import generics
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from diagnosis import inference
from diagnosis.api import examples
from diagnosis.api.negotiation import OneFormat
from diagnosis.api.serializers import ModelSerializer, RefusalSerializer
from diagnosis.models import ModelVersion
from ml.contract import ModelError


class ModelList(generics.GenericAPIView[ModelVersion]):
    """All models that were ever installed here."""

    serializer_class = ModelSerializer
    queryset = ModelVersion.objects.all()
    required_permissions = {"GET": ("model", "view")}
    list_ordering = ("id",)

    @extend_schema(
        summary="List models",
        responses={200: ModelSerializer(many=True)},
        examples=[OpenApiExample("answer", value=examples.MODEL, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


class ModelCard(generics.GenericAPIView[ModelVersion]):
    """Intended use, data, figures and limits of one version."""

    queryset = ModelVersion.objects.all()
    required_permissions = {"GET": ("model", "view")}
    content_negotiation_class = OneFormat

    @extend_schema(
        summary="The card of a model",
        responses={
            (200, "text/markdown"): OpenApiTypes.STR,
            404: OpenApiResponse(RefusalSerializer, description="There is no such model, or it has no card."),
        },
        examples=[OpenApiExample("answer", value="# us-mobilenetv2 1.0.0\n\nIntended use: ...", response_only=True)],
    )
    def get(self, request: Request, name: str, version: str) -> HttpResponseBase:
        model = get_object_or_404(ModelVersion, name=name, version=version)
        try:
            card = inference.card_path(model.name, model.version).read_text(encoding="utf-8")
        except (ModelError, OSError) as error:
            raise NotFound("The card of this model is not installed. Tell IT.", code="no_card") from error
        return HttpResponse(card, content_type="text/markdown; charset=utf-8")
