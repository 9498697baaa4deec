"""What every template may use."""

from django.conf import settings
from django.http import HttpRequest


def site(request: HttpRequest) -> dict[str, object]:
    return {
        "site_name": settings.SITE_NAME,
        "site_phone": settings.SITE_PHONE,
        "site_contact": settings.SITE_CONTACT,
        "demo": settings.DEMO,
        "version": settings.VERSION,
    }
