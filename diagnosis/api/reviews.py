"""``analyses/{id}/conclusions/`` and ``reports/``: what radiologists concluded, and what the patient may see of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import audit
from diagnosis import actions
from diagnosis.actions.reviews import LONGEST_LETTER
from diagnosis.api import examples
from diagnosis.api.serializers import RefusalSerializer
from diagnosis.models import Analysis, Assessment, BiRads, Report
from diagnosis.review_forms import LONGEST_CONCLUSION
from ml.contract import LABELS
from portal.api_refusals import Conflict

WRONG_STATE = OpenApiResponse(RefusalSerializer, description="The state does not allow this; nothing was changed.")
LAST_KEY = 2**63 - 1


class ConclusionSerializer(serializers.ModelSerializer[Assessment]):
    """A radiologist's own conclusion on one image; the newest counts."""

    label = serializers.ChoiceField(choices=LABELS)
    birads = serializers.ChoiceField(choices=BiRads.choices, help_text="ACR BI-RADS Atlas, 5th edition (2013).")
    conclusion = serializers.CharField(max_length=LONGEST_CONCLUSION)
    seen = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=0,
        max_value=LAST_KEY,
        write_only=True,
        help_text="Id of the newest conclusion that the person had read, 0 for none: 409 if there is a newer one.",
    )
    reader = serializers.CharField(source="reader.get_full_name", read_only=True)

    class Meta:
        model = Assessment
        fields = ["id", "label", "birads", "conclusion", "seen", "reader", "created_at"]
        read_only_fields = ["id", "created_at"]


class ReportSerializer(serializers.ModelSerializer[Report]):
    """One version of a report. The patient sees it from ``released_at`` on, until ``withdrawn_at``."""

    conclusion = serializers.IntegerField(source="assessment_id", read_only=True, allow_null=True)

    class Meta:
        model = Report
        fields = [
            "id",
            "analysis",
            "version",
            "status",
            "state",
            "conclusion",
            "letter",
            "released_at",
            "withdrawn_at",
            "created_at",
        ]
        read_only_fields = fields


class ReleaseRequest(serializers.Serializer[Any]):
    """The letter that goes with it, in plain words; the patient reads it first."""

    letter = serializers.CharField(max_length=LONGEST_LETTER)


class WithdrawalRequest(serializers.Serializer[Any]):
    """Why it is taken back; kept with the report."""

    reason = serializers.CharField(max_length=500)


class Conclusions(generics.GenericAPIView[Assessment]):
    """What radiologists concluded on one image, newest first, without answers to second opinions."""

    serializer_class = ConclusionSerializer
    queryset = Assessment.objects.all()
    required_permissions = {"GET": ("assessment", "view"), "POST": ("assessment", "create")}
    visible_to = ("assessment", "view")
    list_ordering = ("-created_at", "-pk")

    def get_object(self) -> Any:
        """The analysis that the address names."""
        return get_object_or_404(
            Analysis.objects.visible_to(self.request.user).select_related("image__study__patient"),
            pk=self.kwargs["pk"],
        )

    @extend_schema(
        summary="List the conclusions on an image",
        responses={200: ConclusionSerializer(many=True)},
        examples=[OpenApiExample("answer", value=examples.CONCLUSION, response_only=True, status_codes=["200"])],
    )
    def get(self, request: Request, pk: Any) -> Response:
        analysis: Analysis = self.get_object()
        page = self.paginate_queryset(analysis.own_conclusions())
        audit.record_viewing("analysis.viewed", actor=request.user, target=analysis, patient=analysis.patient)
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(
        summary="Conclude on an image",
        description="Also where the model gave no result (refused, failed, cancelled): the report then says so. The "
        "final report is made from it and takes the place of the one before, which is no longer released.",
        responses={201: ConclusionSerializer, 409: WRONG_STATE},
        examples=[
            OpenApiExample("request", value=examples.CONCLUSION_REQUEST, request_only=True),
            OpenApiExample("answer", value=examples.CONCLUSION, response_only=True, status_codes=["201"]),
        ],
    )
    def post(self, request: Request, pk: Any) -> Response:
        analysis: Analysis = self.get_object()
        asked = self.get_serializer(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            made = actions.conclude(acting_user=request.user, analysis=analysis, **asked.validated_data)  # type: ignore[arg-type]
        except actions.WrongState as refusal:
            raise Conflict(str(refusal)) from refusal
        return Response(self.get_serializer(made).data, status=status.HTTP_201_CREATED)


def _visible(request: Request) -> QuerySet[Report]:
    return Report.objects.visible_to(request.user).select_related("analysis__image__study__patient")


class Reports(generics.GenericAPIView[Report]):
    """The versions of the report of one image, newest first."""

    serializer_class = ReportSerializer
    queryset = Report.objects.all()
    required_permissions = {"GET": ("report", "view")}
    list_ordering = ("-version",)

    @extend_schema(
        summary="List the versions of a report",
        responses={200: ReportSerializer(many=True)},
        examples=[OpenApiExample("answer", value=examples.REPORT, response_only=True)],
    )
    def get(self, request: Request, pk: Any) -> Response:
        rows = _visible(request).filter(analysis_id=pk)
        # A patient sees a report without seeing the analysis, staff an analysis that has no report yet.
        newest = rows.order_by("-version").first()
        if newest is None and not Analysis.objects.visible_to(request.user).filter(pk=pk).exists():
            raise Http404
        page = self.paginate_queryset(rows)
        if newest is not None:
            audit.record_viewing(
                "report.viewed", actor=request.user, target=newest, patient=newest.analysis.image.study.patient
            )
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


class ReportView(generics.GenericAPIView[Report]):
    """What the views of one version share."""

    serializer_class = ReportSerializer
    queryset = Report.objects.all()
    visible_to = ("report", "view")

    def get_queryset(self) -> Any:
        return _visible(self.request)

    def answer(self) -> Response:
        return Response(ReportSerializer(self.get_object()).data)

    def do(self, verb: Callable[..., object], form: type[serializers.Serializer[Any]]) -> Response:
        """Do it with what was asked for, and answer with the report as it is then."""
        report = self.get_object()
        asked = form(data=self.request.data)
        asked.is_valid(raise_exception=True)
        try:
            verb(acting_user=self.request.user, report=report, **asked.validated_data)
        except actions.WrongState as refusal:
            raise Conflict(str(refusal)) from refusal
        return self.answer()


class ReportDetail(ReportView):
    """One version of a report."""

    required_permissions = {"GET": ("report", "view")}

    @extend_schema(
        summary="Read a version of a report",
        examples=[OpenApiExample("answer", value=examples.REPORT, response_only=True)],
    )
    def get(self, request: Request, pk: Any) -> Response:
        report = self.get_object()
        audit.record_viewing(
            "report.viewed", actor=request.user, target=report, patient=report.analysis.image.study.patient
        )
        return self.answer()


class ReportRelease(ReportView):
    """Let the patient see a final report."""

    required_permissions = {"POST": ("report", "release")}

    @extend_schema(
        summary="Release a report to the patient",
        request=ReleaseRequest,
        responses={200: ReportSerializer, 409: WRONG_STATE},
        examples=[
            OpenApiExample("request", value=examples.RELEASE_REQUEST, request_only=True),
            OpenApiExample("answer", value=examples.REPORT, response_only=True, status_codes=["200"]),
        ],
    )
    def post(self, request: Request, pk: Any) -> Response:
        return self.do(actions.release_report, ReleaseRequest)


class ReportWithdrawal(ReportView):
    """Take a released report back from the patient's pages."""

    required_permissions = {"POST": ("report", "withdraw")}

    @extend_schema(
        summary="Take a released report back",
        request=WithdrawalRequest,
        responses={200: ReportSerializer, 409: WRONG_STATE},
        examples=[OpenApiExample("request", value={"reason": "Wrong side."}, request_only=True)],
    )
    def post(self, request: Request, pk: Any) -> Response:
        return self.do(actions.withdraw_report, WithdrawalRequest)
