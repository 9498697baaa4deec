"""How much work of each kind there is."""

from __future__ import annotations

from dataclasses import dataclass

from django.apps import apps
from django.db import models

from portal.jobs import LeasedJob, State


@dataclass(frozen=True, slots=True)
class Counts:
    """How many jobs of one kind wait, run and have failed."""

    name: str
    queued: int
    running: int
    failed: int


def counts() -> list[Counts]:
    """Count every kind of job of the project, in one query each."""
    found = []
    for job_type in apps.get_models():
        if issubclass(job_type, LeasedJob):
            by_state = dict(
                job_type._default_manager.order_by().values_list("state").annotate(number=models.Count("pk"))
            )
            found.append(
                Counts(
                    name=str(job_type._meta.verbose_name),
                    queued=by_state.get(State.QUEUED, 0),
                    running=by_state.get(State.RUNNING, 0),
                    failed=by_state.get(State.FAILED, 0),
                )
            )
    return found
