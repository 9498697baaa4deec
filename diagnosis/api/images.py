"""``studies/{id}/images/``: the door for files."""

from __future__ import annotations

from typing import Any

from django.core.files.uploadedfile import UploadedFile
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import exceptions, generics, status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from diagnosis import actions
from diagnosis.api import examples
from diagnosis.api.serializers import (
    FiledSerializer,
    ImagesForm,
    ImagesRequest,
    UploadAnswer,
    UploadRefusal,
)
from diagnosis.intake import IntakeRejected, safe_filename
from diagnosis.models import Study
from diagnosis.upload_limits import upload_limits

NO_FILE = "Send one or more images as multipart form data, each in a part called “file”."


class StudyImages(generics.GenericAPIView[Study]):
    """File images in a study. Each good one is analysed; a bad one does not stop the others."""

    serializer_class = UploadAnswer
    queryset = Study.objects.all()
    parser_classes = (MultiPartParser,)
    required_permissions = {"POST": ("image", "add")}
    visible_to = ("study", "view")

    def get_queryset(self) -> Any:
        return Study.objects.visible_to(self.request.user).select_related("patient")

    @extend_schema(
        summary="Add images to a study",
        description="Answers 202 when at least one file was taken; the others are listed under `refused`. When none "
        "was, the status, `code` and `detail` are those of the first refusal. A file that was on the record already "
        "comes back as a duplicate and is not analysed again.",
        request={"multipart/form-data": ImagesForm},
        responses={
            202: UploadAnswer,
            400: OpenApiResponse(UploadRefusal, description="The file is damaged, or a field is not allowed."),
            409: OpenApiResponse(
                UploadRefusal,
                description="The file names another patient (`identity_mismatch`), or the study is frozen.",
            ),
            413: OpenApiResponse(UploadRefusal, description="The file, or what it unpacks to, is too large."),
            415: OpenApiResponse(UploadRefusal, description="The file is not an image that is read here."),
        },
        examples=[
            OpenApiExample("taken", value=examples.FILED, response_only=True, status_codes=["202"]),
            OpenApiExample("one refused", value=examples.PARTLY_REFUSED, response_only=True, status_codes=["202"]),
            OpenApiExample("another patient", value=examples.MISMATCH, response_only=True, status_codes=["409"]),
        ],
    )
    def post(self, request: Request, pk: Any) -> Response:
        study = self.get_object()
        files = request.FILES.getlist("file")
        if not files:
            raise exceptions.ValidationError({"file": [NO_FILE]})
        asked = ImagesRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        filed, refused = [], []
        for file in files:
            try:
                filed.append(self._file(file, study=study, **asked.validated_data))
            except (IntakeRejected, actions.IdentityMismatch, actions.WrongState) as refusal:
                refused.append((_status(refusal), _refusal(file, refusal)))
        entries = [entry for _, entry in refused]
        if not filed:
            first_status, first = refused[0]
            body = {"code": first["code"], "detail": first["detail"], "fields": {"file": [first["detail"]]}}
            return Response({**body, "refused": entries}, status=first_status)
        answer = FiledSerializer(filed, many=True, context=self.get_serializer_context())
        return Response({"images": answer.data, "refused": entries}, status=status.HTTP_202_ACCEPTED)

    def _file(self, file: UploadedFile, *, study: Study, **values: Any) -> actions.Filed:
        return actions.add_image(
            acting_user=self.request.user,
            study=study,
            upload=file,
            filename=file.name or "",
            declared_type=file.content_type or "",
            limits=upload_limits(),
            **values,
        )


def _status(refusal: Exception) -> int:
    return refusal.http_status if isinstance(refusal, IntakeRejected) else status.HTTP_409_CONFLICT


def _refusal(file: UploadedFile, refusal: Exception) -> dict[str, Any]:
    entry: dict[str, Any] = {"file": safe_filename(file.name or "")}
    if isinstance(refusal, IntakeRejected):
        return {**entry, "code": refusal.code, "detail": refusal.message}
    if isinstance(refusal, actions.IdentityMismatch):
        differences = [
            {"field": one.field, "in_file": one.in_file, "on_record": one.on_record, "sentence": one.sentence}
            for one in refusal.differences
        ]
        return {**entry, "code": "identity_mismatch", "detail": str(refusal), "differences": differences}
    return {**entry, "code": "wrong_state", "detail": str(refusal)}
