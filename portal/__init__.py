"""Wiring and operations: settings, URLs, the durable job, health. No domain models."""

from portal.celery import app as celery_app

__all__ = ("celery_app",)
