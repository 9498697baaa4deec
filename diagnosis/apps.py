from django.apps import AppConfig


class DiagnosisConfig(AppConfig):
    name = "diagnosis"
    verbose_name = "Background work and models"

    def ready(self) -> None:
        from diagnosis import receivers  # noqa: F401  connects them
