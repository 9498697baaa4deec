"""The Celery application. Celery only carries "look at job 17"; the database row is the queue of record."""

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging

from portal import spool

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

spool.register()
app = Celery("senolens")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.autodiscover_tasks(["portal"], related_name="sweeper")


@setup_logging.connect
def keep_logging(**kwargs: Any) -> None:
    """Leave logging as ``settings.LOGGING`` says; a receiver of this signal keeps Celery from setting up its own."""
