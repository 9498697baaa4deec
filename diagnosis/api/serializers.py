"""What the REST API takes and gives about studies, images, analyses and models."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from rest_framework import serializers

from accounts.models import Patient, Team
from diagnosis.models import Analysis, Image, Laterality, Modality, ModelVersion, Study, View
from ml.contract import LABELS
from portal.jobs import State

LAST_FRAME = 2**31 - 1


def link(request: Any, name: str, *arguments: Any) -> str:
    """Return the absolute address of a named view."""
    return str(request.build_absolute_uri(reverse(name, args=arguments)))


class AnalysisBrief(serializers.ModelSerializer[Analysis]):
    """Enough to follow an analysis."""

    url = serializers.SerializerMethodField()

    class Meta:
        model = Analysis
        fields = ["id", "state", "url"]
        read_only_fields = fields

    def get_url(self, analysis: Analysis) -> str:
        return link(self.context["request"], "api-analysis", analysis.pk)


class AnalysisInStudy(AnalysisBrief):
    """The same with the result in one word."""

    label = serializers.SerializerMethodField()

    class Meta(AnalysisBrief.Meta):
        fields = ["id", "state", "label", "url"]
        read_only_fields = fields

    def get_label(self, analysis: Analysis) -> str | None:
        return analysis.label or None


class ImageInStudy(serializers.ModelSerializer[Image]):
    """An image of a study."""

    name = serializers.CharField(source="original_name", read_only=True)
    analysis = AnalysisInStudy(read_only=True)

    class Meta:
        model = Image
        fields = ["id", "sha256", "name", "laterality", "view", "analysis"]
        read_only_fields = fields


class VisiblePatientField(serializers.PrimaryKeyRelatedField):
    """A patient that the person who asks may see; any other does not exist for them."""

    def get_queryset(self) -> Any:
        return Patient.objects.visible_to(self.context["request"].user)


class OwnTeamField(serializers.PrimaryKeyRelatedField):
    """A team of the person who asks."""

    def get_queryset(self) -> Any:
        return Team.objects.taking_studies_of(self.context["request"].user)


class StudySerializer(serializers.ModelSerializer[Study]):
    """A study and its images."""

    patient = VisiblePatientField(
        queryset=Patient.objects.all(),
        error_messages={"does_not_exist": "There is no patient with this id."},
    )
    patient_mrn = serializers.CharField(source="patient.mrn", read_only=True)
    patient_name = serializers.CharField(source="patient.full_name", read_only=True)
    modality = serializers.ChoiceField(choices=Modality.choices)
    team = OwnTeamField(
        queryset=Team.objects.all(),
        required=False,
        allow_null=True,
        help_text="Whose radiologists see it; `null`: every radiologist. Who makes it and is in one team need not say.",
        error_messages={"does_not_exist": "You are not in a team with this id."},
    )
    images = ImageInStudy(many=True, read_only=True)

    class Meta:
        model = Study
        fields = [
            "id",
            "patient",
            "patient_mrn",
            "patient_name",
            "modality",
            "laterality",
            "clinical_history",
            "accession_number",
            "team",
            "state",
            "created_at",
            "images",
        ]
        read_only_fields = ["id", "state", "created_at"]


class ImagesRequest(serializers.Serializer[Any]):
    """What may come beside the files; it holds for all of them."""

    laterality = serializers.ChoiceField(choices=Laterality.choices, required=False, allow_blank=True, default="")
    view = serializers.ChoiceField(choices=View.choices, required=False, allow_blank=True, default="")
    frame = serializers.IntegerField(
        min_value=0, max_value=LAST_FRAME, required=False, allow_null=True, default=None, help_text="Counted from 0."
    )
    confirm_differences = serializers.BooleanField(
        required=False, default=False, help_text="File it although the file names another patient, side or modality."
    )


class ImagesForm(ImagesRequest):
    """The whole form, for the schema."""

    file = serializers.ListField(child=serializers.FileField(), help_text="One or more files.")


class DifferenceSerializer(serializers.Serializer[Any]):
    """Where a file and the record disagree."""

    field = serializers.CharField()
    in_file = serializers.CharField()
    on_record = serializers.CharField()
    sentence = serializers.CharField()


class RefusedSerializer(serializers.Serializer[Any]):
    """A file that was not taken."""

    file = serializers.CharField()
    code = serializers.CharField()
    detail = serializers.CharField()
    differences = DifferenceSerializer(many=True, required=False)


class FiledSerializer(serializers.Serializer[Any]):
    """A file that was taken; ``duplicate``: it was on the record already and is not analysed again."""

    id = serializers.UUIDField(source="image.pk")
    sha256 = serializers.CharField(source="image.sha256")
    duplicate = serializers.BooleanField()
    analysis = AnalysisBrief(source="image.analysis")


class UploadAnswer(serializers.Serializer[Any]):
    """What became of the files of one request."""

    images = FiledSerializer(many=True)
    refused = RefusedSerializer(many=True)


class RefusalSerializer(serializers.Serializer[Any]):
    """The shape of every refusal."""

    code = serializers.CharField()
    detail = serializers.CharField()
    fields = serializers.DictField()  # type: ignore[assignment]


class UploadRefusal(RefusalSerializer):
    """No file was taken; the status, code and detail are the first file's."""

    refused = RefusedSerializer(many=True)


class ModelOfAnalysis(serializers.Serializer[Any]):
    """Which model spoke."""

    name = serializers.CharField()
    version = serializers.CharField()
    sha256 = serializers.CharField()
    status = serializers.ChoiceField(
        choices=ModelVersion.Status.choices, help_text="`research`: not for clinical decisions."
    )


class ProbabilitiesSerializer(serializers.Serializer[Any]):
    """Calibrated probability of each label; they sum to 1."""

    benign = serializers.FloatField()
    malignant = serializers.FloatField()
    normal = serializers.FloatField()


class PredictionSerializer(serializers.Serializer[Any]):
    """The decision. ``suspicion`` is 1-10, monotone in the probability of malignancy.

    ``uncertain``: read the image as if there were no model. Where the site has entered its own ``prevalence``, the
    probabilities are re-based to it and ``model_probabilities`` are those that the model itself gave; else both are
    ``null``.
    """

    label = serializers.ChoiceField(choices=LABELS)
    confidence = serializers.FloatField()
    probabilities = ProbabilitiesSerializer()
    suspicion = serializers.IntegerField(min_value=1, max_value=10)
    uncertain = serializers.BooleanField()
    prevalence = serializers.FloatField(allow_null=True)
    model_probabilities = ProbabilitiesSerializer(allow_null=True)


class LesionSerializer(serializers.Serializer[Any]):
    """The outlined lesion. Millimetres are ``null`` where the file does not say how large a pixel is."""

    area_share = serializers.FloatField(min_value=0, max_value=1, help_text="Of the image's pixels.")
    area_mm2 = serializers.FloatField(allow_null=True)
    longest_diameter_px = serializers.FloatField()
    longest_diameter_mm = serializers.FloatField(allow_null=True)
    box = serializers.ListField(
        child=serializers.IntegerField(),
        min_length=4,
        max_length=4,
        help_text="Top, left, bottom, right in pixels; bottom and right exclusive.",
    )


class MarkSerializer(serializers.Serializer[Any]):
    """A place that a detector points at, in pixels of the image, with its calibrated probability."""

    row = serializers.FloatField()
    column = serializers.FloatField()
    radius = serializers.FloatField()
    score = serializers.FloatField(min_value=0, max_value=1)


class SimilarCaseSerializer(serializers.Serializer[Any]):
    """A case of the training sets that the model finds alike: its key, its known outcome, never its image."""

    case = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]
    label = serializers.ChoiceField(choices=LABELS)  # type: ignore[assignment]
    similarity = serializers.FloatField(min_value=-1, max_value=1, help_text="Cosine.")


class CheckSerializer(serializers.Serializer[Any]):
    """One measured property of the image."""

    name = serializers.CharField()
    value = serializers.FloatField()
    passed = serializers.BooleanField()


class QualitySerializer(serializers.Serializer[Any]):
    """All quality checks."""

    passed = serializers.BooleanField()
    checks = CheckSerializer(many=True)


class ErrorSerializer(serializers.Serializer[Any]):
    """Why there is no result, and what to do."""

    code = serializers.CharField()
    message = serializers.CharField()


class AnalysisSerializer(serializers.Serializer[Any]):
    """An analysis, as the contract words it. Nothing that was not measured is filled in: it is ``null``."""

    id = serializers.UUIDField()
    state = serializers.ChoiceField(choices=State.choices)
    attempts = serializers.IntegerField()
    image = serializers.UUIDField(source="image_id")
    study = serializers.UUIDField(source="image.study_id")
    model = ModelOfAnalysis(allow_null=True)
    prediction = PredictionSerializer(allow_null=True)
    quality = QualitySerializer(allow_null=True)
    explanation_url = serializers.URLField(allow_null=True)
    segmentation_url = serializers.URLField(allow_null=True)
    lesion = LesionSerializer(allow_null=True)
    marks = MarkSerializer(many=True, allow_null=True)
    similar_cases = SimilarCaseSerializer(many=True, allow_null=True)
    report_url = serializers.URLField(allow_null=True)
    error = ErrorSerializer(allow_null=True)
    queued_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)

    def to_representation(self, analysis: Analysis) -> dict[str, Any]:
        request = self.context["request"]
        moment = serializers.DateTimeField().to_representation
        has_report = any(report.file for report in analysis.reports.all())
        return {
            "id": str(analysis.pk),
            "state": analysis.state,
            "attempts": analysis.attempts,
            "image": str(analysis.image_id),
            "study": str(analysis.image.study_id),
            "model": _model(analysis),
            "prediction": _prediction(analysis),
            "quality": _quality(analysis),
            "explanation_url": link(request, "api-analysis-explanation", analysis.pk) if analysis.explanation else None,
            "segmentation_url": link(request, "api-analysis-segmentation", analysis.pk)
            if analysis.segmentation
            else None,
            "lesion": _lesion(analysis),
            "marks": analysis.marks if analysis.label else None,
            "similar_cases": analysis.similar_cases if analysis.label else None,
            "report_url": link(request, "api-analysis-report", analysis.pk) if has_report else None,
            "error": _error(analysis),
            "queued_at": moment(analysis.queued_at),
            "started_at": moment(analysis.started_at) if analysis.started_at else None,
            "finished_at": moment(analysis.finished_at) if analysis.finished_at else None,
        }


def _model(analysis: Analysis) -> dict[str, str] | None:
    if not analysis.model_name:
        return None
    return {
        "name": analysis.model_name,
        "version": analysis.model_version,
        "sha256": analysis.model_sha256,
        "status": analysis.model_status,
    }


def _prediction(analysis: Analysis) -> dict[str, Any] | None:
    probabilities = analysis.probabilities
    if probabilities is None:
        return None
    return {
        "label": analysis.label,
        "confidence": analysis.confidence,
        "probabilities": probabilities,
        "suspicion": analysis.suspicion,
        "uncertain": analysis.uncertain,
        "prevalence": analysis.prevalence,
        "model_probabilities": analysis.own_probabilities,
    }


def _lesion(analysis: Analysis) -> dict[str, Any] | None:
    if analysis.lesion is None:
        return None
    return {name: analysis.lesion[name] for name in LesionSerializer().fields}


def _quality(analysis: Analysis) -> dict[str, Any] | None:
    if not analysis.quality:
        return None
    return {
        "passed": all(check["passed"] for check in analysis.quality),
        "checks": [{key: check[key] for key in ("name", "value", "passed")} for check in analysis.quality],
    }


def _error(analysis: Analysis) -> dict[str, str] | None:
    if analysis.state == State.REJECTED:
        return {"code": analysis.error_code or "refused", "message": " ".join(analysis.reasons)}
    if analysis.state == State.FAILED:
        return {"code": analysis.error_code, "message": analysis.error_message}
    return None


class ModelSerializer(serializers.ModelSerializer[ModelVersion]):
    """An installed model."""

    card_url = serializers.SerializerMethodField()

    class Meta:
        model = ModelVersion
        fields = ["name", "version", "modality", "status", "sha256", "active", "registered_at", "card_url"]
        read_only_fields = fields

    def get_card_url(self, model: ModelVersion) -> str:
        return link(self.context["request"], "api-model-card", model.name, model.version)
