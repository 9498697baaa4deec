"""The Celery application. Celery only carries "look at job 17"; the database row is the queue of record."""

import os

from celery import Celery

from portal import spool

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

spool.register()
app = Celery("senolens")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.autodiscover_tasks(["portal"], related_name="sweeper")
