"""Where each address leads. Everything requires sign-in unless its view says otherwise."""

from django.contrib import admin
from django.urls import include, path

from portal import health

urlpatterns = [
    path("healthz", health.alive, name="healthz"),
    path("readyz", health.ready, name="readyz"),
    path("operations/parts/", health.parts, name="operations-parts"),
    path("admin/", admin.site.urls),
    path("api/", include("portal.api_urls")),
    path("", include("accounts.urls")),
    path("", include("diagnosis.urls")),
]
