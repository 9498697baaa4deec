"""Addresses of the REST API (contract, "REST API, version 1")."""

from django.urls import include, path

from accounts.api.patients import PatientDetail, PatientList
from accounts.api.tokens import CurrentToken, TokenList
from diagnosis.api.analyses import (
    AnalysisCancel,
    AnalysisDetail,
    AnalysisExplanation,
    AnalysisReport,
    AnalysisRetry,
    AnalysisSegmentation,
)
from diagnosis.api.images import StudyImages
from diagnosis.api.models import ModelCard, ModelList
from diagnosis.api.reviews import Conclusions, ReportDetail, ReportRelease, Reports, ReportWithdrawal
from diagnosis.api.studies import StudyDetail, StudyList
from portal.api_docs import DocsView, NoSuchAddress, SchemaView

version_1 = [
    path("tokens/", TokenList.as_view(), name="api-tokens"),
    path("tokens/current/", CurrentToken.as_view(), name="api-token-current"),
    path("patients/", PatientList.as_view(), name="api-patients"),
    path("patients/<uuid:pk>/", PatientDetail.as_view(), name="api-patient"),
    path("studies/", StudyList.as_view(), name="api-studies"),
    path("studies/<uuid:pk>/", StudyDetail.as_view(), name="api-study"),
    path("studies/<uuid:pk>/images/", StudyImages.as_view(), name="api-study-images"),
    path("analyses/<uuid:pk>/", AnalysisDetail.as_view(), name="api-analysis"),
    path("analyses/<uuid:pk>/retry/", AnalysisRetry.as_view(), name="api-analysis-retry"),
    path("analyses/<uuid:pk>/cancel/", AnalysisCancel.as_view(), name="api-analysis-cancel"),
    path("analyses/<uuid:pk>/explanation.png", AnalysisExplanation.as_view(), name="api-analysis-explanation"),
    path("analyses/<uuid:pk>/segmentation.png", AnalysisSegmentation.as_view(), name="api-analysis-segmentation"),
    path("analyses/<uuid:pk>/report.pdf", AnalysisReport.as_view(), name="api-analysis-report"),
    path("analyses/<uuid:pk>/conclusions/", Conclusions.as_view(), name="api-conclusions"),
    path("analyses/<uuid:pk>/reports/", Reports.as_view(), name="api-reports"),
    path("reports/<uuid:pk>/", ReportDetail.as_view(), name="api-report"),
    path("reports/<uuid:pk>/release/", ReportRelease.as_view(), name="api-report-release"),
    path("reports/<uuid:pk>/withdraw/", ReportWithdrawal.as_view(), name="api-report-withdraw"),
    path("models/", ModelList.as_view(), name="api-models"),
    path("models/<str:name>/<str:version>/card/", ModelCard.as_view(), name="api-model-card"),
    path("<path:path>", NoSuchAddress.as_view(), name="api-no-such-address"),
]

urlpatterns = [
    path("schema/", SchemaView.as_view(), name="api-schema"),
    path("docs/", DocsView.as_view(), name="api-docs"),
    path("v1/", include(version_1)),
]
