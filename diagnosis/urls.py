"""Addresses of the reading screens and of the stored files."""

from __future__ import annotations

from django.urls import path

from diagnosis.views import (
    analysis,
    dashboard,
    erasure,
    exports,
    files,
    history,
    home,
    model_changes,
    model_watch,
    models,
    own_record,
    patient,
    report,
    review,
    studies,
    study,
    study_team,
    transfers,
    upload,
)

urlpatterns = [
    path("", home.home, name="home"),
    path("dashboard/", dashboard.dashboard, name="dashboard"),
    # Patients and studies
    path("patients/<uuid:pk>/", patient.detail, name="patient-detail"),
    path("patients/<uuid:pk>/studies/new/", study.create, name="study-create"),
    path("patients/<uuid:pk>/studies/today/", upload.start_study, name="study-start"),
    path("studies/", studies.study_list, name="study-list"),
    path("studies/<uuid:pk>/", study.detail, name="study-detail"),
    path("studies/<uuid:pk>/images/", study.images, name="study-images"),
    path("studies/<uuid:pk>/team/", study_team.assign, name="study-assign"),
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
    # What people say about it
    path("analyses/<uuid:pk>/review/", analysis.review, name="analysis-review"),
    path("analyses/<uuid:pk>/conclusion/", review.conclude, name="analysis-conclude"),
    path("analyses/<uuid:pk>/second-opinions/", review.ask, name="second-opinion-ask"),
    path("second-opinions/<int:pk>/answer/", review.answer, name="second-opinion-answer"),
    path("second-opinions/<int:pk>/take-back/", review.take_back, name="second-opinion-take-back"),
    path("reports/<uuid:pk>/release/", review.release, name="report-release"),
    path("reports/<uuid:pk>/withdraw/", review.withdraw, name="report-withdraw"),
    path("studies/<uuid:pk>/outcomes/", review.known_outcome, name="known-outcome"),
    # Records: merged, split, erased; packages without names
    path("patients/<uuid:pk>/merge/", transfers.merge, name="patient-merge"),
    path("patients/<uuid:pk>/split/", transfers.split, name="patient-split"),
    path("patients/<uuid:pk>/transfers/", transfers.transfer_list, name="transfer-list"),
    path("patients/<uuid:pk>/transfers/<int:transfer>/undo/", transfers.transfer_undo, name="transfer-undo"),
    path("patients/<uuid:pk>/erase/", erasure.erase, name="patient-erase"),
    path("exports/", exports.export_list, name="export-list"),
    path("exports/new/", exports.export_create, name="export-create"),
    path("exports/<uuid:pk>/", exports.export_detail, name="export-detail"),
    path("exports/<uuid:pk>/package.zip", exports.export_file, name="export-file"),
    path("exports/<uuid:pk>/cancel/", exports.export_cancel, name="export-cancel"),
    # Lists
    path("history/", history.history, name="history"),
    path("history/export.csv", history.export, name="history-export"),
    path("models/", models.model_list, name="model-list"),
    path("models/prevalence/<str:modality>/", models.prevalence, name="model-prevalence"),
    path("models/proposals/<int:pk>/", model_changes.proposal, name="model-proposal"),
    path("models/proposals/<int:pk>/confirm/", model_changes.confirm, name="model-proposal-confirm"),
    path("models/proposals/<int:pk>/withdraw/", model_changes.withdraw, name="model-proposal-withdraw"),
    path("models/<str:name>/<str:version>/", models.card, name="model-card"),
    path("models/<str:name>/<str:version>/here/", model_watch.here, name="model-here"),
    path("models/<str:name>/<str:version>/propose/", model_changes.propose, name="model-propose"),
    path("models/<str:name>/<str:version>/shadow/", model_changes.shadow, name="model-shadow"),
    path("models/<str:name>/<str:version>/shadow/end/", model_changes.end_shadow, name="model-shadow-end"),
    path("models/<str:name>/<str:version>/<slug:plot>.png", models.plot, name="model-plot"),
    # A patient's own
    path("own/reports/<uuid:pk>/", own_record.own_report, name="own-report"),
    path("own/accesses/", own_record.own_accesses, name="own-accesses"),
    path("own/export/", own_record.own_export_file, name="own-export"),
    # Reports
    path("reports/<uuid:pk>.pdf", files.report, name="report-file"),
    path("verify/<slug:code>/", report.verify, name="verify"),
]
