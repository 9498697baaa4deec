"""``analyses/``: what the model said, and the two verbs a person has on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import generics
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import audit
from diagnosis import actions, patient_copy
from diagnosis.api import examples
from diagnosis.api.negotiation import OneFormat
from diagnosis.api.serializers import AnalysisSerializer, RefusalSerializer
from diagnosis.models import Analysis, Report
from diagnosis.stored_files import send
from portal.api_refusals import Conflict

WRONG_STATE = OpenApiResponse(RefusalSerializer, description="The state of the analysis does not allow this.")
WRONG_STATE_EXAMPLE = OpenApiExample(
    "wrong state", value=examples.WRONG_STATE, response_only=True, status_codes=["409"]
)


class AnalysisView(generics.GenericAPIView[Analysis]):
    """What the views of one analysis share."""

    serializer_class = AnalysisSerializer
    queryset = Analysis.objects.all()
    visible_to = ("analysis", "view")

    def get_queryset(self) -> Any:
        visible = Analysis.objects.visible_to(self.request.user)
        return visible.select_related("patient", "image__study__patient").prefetch_related("reports")

    def answer(self, analysis: Analysis) -> Response:
        return Response(self.get_serializer(analysis).data)

    def do(self, verb: Callable[..., Analysis]) -> Response:
        """Do a verb to the analysis; 409 from a wrong state."""
        try:
            verb(acting_user=self.request.user, analysis=self.get_object())
        except actions.WrongState as refusal:
            raise Conflict(str(refusal)) from refusal
        return self.answer(self.get_object())


class AnalysisDetail(AnalysisView):
    """The state and, once it succeeded, the result."""

    required_permissions = {"GET": ("analysis", "view")}

    @extend_schema(
        summary="Read an analysis",
        examples=[
            OpenApiExample("succeeded", value=examples.ANALYSIS, response_only=True),
            OpenApiExample("queued", value=examples.QUEUED, response_only=True),
            OpenApiExample("refused", value=examples.REJECTED, response_only=True),
        ],
    )
    def get(self, request: Request, pk: Any) -> Response:
        analysis = self.get_object()
        audit.record_viewing("analysis.viewed", actor=request.user, target=analysis, patient=analysis.patient)
        return self.answer(analysis)


class AnalysisRetry(AnalysisView):
    """Try a failed or cancelled analysis again, or one that was refused only because no model read its modality."""

    required_permissions = {"POST": ("analysis", "retry")}

    @extend_schema(
        summary="Try again",
        request=None,
        responses={200: AnalysisSerializer, 409: WRONG_STATE},
        examples=[
            OpenApiExample("answer", value=examples.QUEUED, response_only=True, status_codes=["200"]),
            WRONG_STATE_EXAMPLE,
        ],
    )
    def post(self, request: Request, pk: Any) -> Response:
        return self.do(actions.retry_analysis)


class AnalysisCancel(AnalysisView):
    """Cancel an analysis that has not finished."""

    required_permissions = {"POST": ("analysis", "cancel")}

    @extend_schema(
        summary="Cancel",
        request=None,
        responses={200: AnalysisSerializer, 409: WRONG_STATE},
        examples=[
            OpenApiExample("answer", value=examples.CANCELLED, response_only=True, status_codes=["200"]),
            WRONG_STATE_EXAMPLE,
        ],
    )
    def post(self, request: Request, pk: Any) -> Response:
        return self.do(actions.cancel_analysis)


class AnalysisExplanation(AnalysisView):
    """Where the model looked."""

    required_permissions = {"GET": ("analysis", "view")}
    content_negotiation_class = OneFormat

    @extend_schema(
        summary="The explanation map",
        description="A see-through PNG of the size of the image, to be laid over it (Grad-CAM of the predicted label).",
        responses={
            (200, "image/png"): OpenApiTypes.BINARY,
            304: OpenApiResponse(description="The copy named by `If-None-Match` is current."),
            404: OpenApiResponse(RefusalSerializer, description="There is no map, or no such analysis."),
        },
    )
    def get(self, request: Request, pk: Any) -> HttpResponseBase:
        analysis = self.get_object()
        if not analysis.explanation:
            raise NotFound("This analysis has no map: it has no result.", code="no_explanation")
        response = send(
            request._request,
            analysis.explanation,
            sha256=analysis.explanation_sha256,
            content_type="image/png",
            filename=f"explanation-{analysis.pk}.png",
        )
        audit.record_viewing("analysis.map_viewed", actor=request.user, target=analysis, patient=analysis.patient)
        return response


class AnalysisSegmentation(AnalysisView):
    """The lesion as the model outlines it."""

    required_permissions = {"GET": ("analysis", "view")}
    content_negotiation_class = OneFormat

    @extend_schema(
        summary="The mask of the lesion",
        description="A grey PNG of the size of the image: 255 inside the lesion, 0 elsewhere. Not to be kept by "
        "caches (`no-store`).",
        responses={
            (200, "image/png"): OpenApiTypes.BINARY,
            404: OpenApiResponse(RefusalSerializer, description="No lesion was outlined, or no such analysis."),
        },
    )
    def get(self, request: Request, pk: Any) -> HttpResponseBase:
        analysis = self.get_object()
        if not analysis.segmentation:
            raise NotFound("No lesion was outlined in this image.", code="no_segmentation")
        response = send(
            request._request,
            analysis.segmentation,
            sha256=analysis.segmentation_sha256,
            content_type="image/png",
            filename=f"segmentation-{analysis.pk}.png",
        )
        response["Cache-Control"] = "private, no-store"
        audit.record_viewing("analysis.map_viewed", actor=request.user, target=analysis, patient=analysis.patient)
        return response


class AnalysisReport(AnalysisView):
    """The newest version of the report that is ready."""

    required_permissions = {"GET": ("report", "view")}
    content_negotiation_class = OneFormat

    @extend_schema(
        summary="The report",
        description="The newest stored version as PDF; the ETag is its SHA-256. A patient gets the patient's copy of a "
        "released report: letter, conclusion and image, without what the model said.",
        responses={
            (200, "application/pdf"): OpenApiTypes.BINARY,
            304: OpenApiResponse(description="The copy named by `If-None-Match` is current."),
            404: OpenApiResponse(RefusalSerializer, description="There is no report yet, or no such analysis."),
        },
    )
    def get(self, request: Request, pk: Any) -> HttpResponseBase:
        visible = Report.objects.visible_to(request.user).filter(analysis_id=pk).exclude(file="")
        visible = visible.select_related(
            "analysis__image__study__patient", "analysis__image__uploaded_by", "assessment__reader"
        )
        report = visible.order_by("-version").first()
        if report is None:
            raise NotFound("There is no report that is ready, or you may not see it.", code="no_report")
        response = patient_copy.send_report(request._request, report, attachment=True)  # type: ignore[arg-type]
        audit.record(
            "report.downloaded",
            actor=request.user,
            target=report,
            patient=report.analysis.image.study.patient,
            version=report.version,
        )
        return response
