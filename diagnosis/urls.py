"""Addresses of the reading screens and of the stored files."""

from __future__ import annotations

from django.urls import path

from diagnosis.views import analysis, files, history, home, models, patient, report, study, upload

urlpatterns = [
    path("", home.home, name="home"),
    # Patients and studies
    path("patients/<uuid:pk>/", patient.detail, name="patient-detail"),
    path("patients/<uuid:pk>/studies/new/", study.create, name="study-create"),
    path("patients/<uuid:pk>/studies/today/", upload.start_study, name="study-start"),
    path("studies/<uuid:pk>/", study.detail, name="study-detail"),
    path("studies/<uuid:pk>/images/", study.images, name="study-images"),
    path("studies/<uuid:pk>/upload/", upload.upload, name="study-upload"),
    # One image and its result
    path("analyses/<uuid:pk>/", analysis.detail, name="analysis-detail"),
    path("analyses/<uuid:pk>/panel/", analysis.panel, name="analysis-panel"),
    path("analyses/<uuid:pk>/retry/", analysis.retry, name="analysis-retry"),
    path("analyses/<uuid:pk>/cancel/", analysis.cancel, name="analysis-cancel"),
    path("analyses/<uuid:pk>/report/", report.reissue, name="report-reissue"),
    path("analyses/<uuid:pk>/explanation.png", files.explanation, name="explanation-file"),
    path("images/<uuid:pk>/frame/", analysis.frame, name="image-frame"),
    path("images/<uuid:pk>/image.png", files.image, name="image-file"),
    path("images/<uuid:pk>/thumbnail.jpg", files.thumbnail, name="image-thumbnail"),
    # Lists
    path("history/", history.history, name="history"),
    path("history/export.csv", history.export, name="history-export"),
    path("models/", models.model_list, name="model-list"),
    path("models/prevalence/<str:modality>/", models.prevalence, name="model-prevalence"),
    path("models/<str:name>/<str:version>/", models.card, name="model-card"),
    path("models/<str:name>/<str:version>/choose/", models.choose, name="model-choose"),
    path("models/<str:name>/<str:version>/stop/", models.stop, name="model-stop"),
    path("models/<str:name>/<str:version>/<slug:plot>.png", models.plot, name="model-plot"),
    # Reports
    path("reports/<uuid:pk>.pdf", files.report, name="report-file"),
    path("verify/<slug:code>/", report.verify, name="verify"),
]
