"""Times the dashboard and a model's own page over 1,000 and over 100,000 analyses in one run."""

from __future__ import annotations

import random
import statistics
from datetime import timedelta

from django.core.management import call_command
from django.test import override_settings
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from diagnosis.models import Analysis, Assessment, KnownOutcome, ModelVersion
from portal.bench.history import LARGE, PLAIN_STATIC_FILES, SMALL, Timed, signed_in, timed
from portal.bench.history_data import fill
from portal.bench.table import Row, percentile

MOST_QUERIES = 32
LONGEST_SECONDS = 0.5
MODEL = ("us-bench", "1.0.0")
EVERY = 10
"""One analysis in so many has a reader's conclusion, and one in a hundred a known outcome."""
CONCLUDED_AFTER = timedelta(hours=2)


def _reviewed() -> None:
    """Add conclusions and outcomes to a part of the analyses that have none, and times to all."""
    reader = User.objects.get(email="bench-radiologist@test.local")
    chance = random.Random(EVERY)
    rows = Analysis.objects.filter(state="succeeded", assessments=None).select_related("image").order_by("pk")
    some = [row for row in rows.iterator(chunk_size=5_000) if chance.random() < 1 / EVERY]
    Assessment.objects.bulk_create(
        Assessment(
            analysis=row,
            reader=reader,
            label=chance.choice(("benign", "malignant", "normal")),
            birads="2",
            conclusion="As seen.",
            created_at=row.queued_at + CONCLUDED_AFTER,
        )
        for row in some
    )
    KnownOutcome.objects.bulk_create(
        KnownOutcome(
            study_id=row.image.study_id,
            laterality=row.image.laterality,
            label=chance.choice(("benign", "malignant")),
            source="histology",
            determined_on=timezone.localdate(),
            entered_by=reader,
        )
        for row in some[::EVERY]
    )


def _addresses() -> dict[str, str]:
    dashboard = reverse("dashboard")
    return {
        "dashboard, 30 days": f"{dashboard}?days=30",
        "dashboard, 365 days": f"{dashboard}?days=365",
        "a model, here": reverse("model-here", args=MODEL),
    }


def _measured(requests: int) -> dict[str, Timed]:
    client = signed_in("administrator")
    return {name: timed(client, address, requests=requests) for name, address in _addresses().items()}


def _rows(name: str, small: Timed, large: Timed) -> list[Row]:
    """Goals are on processor time: other work on the machine would fall on some of the requests."""
    p95 = percentile(large.cpu_seconds, 0.95)
    ratio = statistics.median(large.cpu_seconds) / statistics.median(small.cpu_seconds)
    wall = f"wall clock median {statistics.median(large.seconds) * 1000:.0f} ms"
    return [
        Row(
            what=f"{name}, {LARGE:,} analyses ({large.queries} queries), processor time; {wall}",
            n=len(large.cpu_seconds),
            median=f"{statistics.median(large.cpu_seconds) * 1000:.0f} ms",
            p95=f"{p95 * 1000:.0f} ms",
            goal=f"p95 < {LONGEST_SECONDS * 1000:.0f} ms, <= {MOST_QUERIES} queries",
            met=p95 < LONGEST_SECONDS and large.queries <= MOST_QUERIES,
        ),
        Row(
            what=f"{name}, {LARGE:,} against {SMALL:,}, processor time ({small.queries} queries there)",
            n=len(large.cpu_seconds),
            median=f"x {ratio:.2f}",
            p95="-",
            goal="stated",
        ),
    ]


def measure(*, requests: int) -> list[Row]:
    """Fill the database that is set up, and time each page at both sizes."""
    call_command("migrate", verbosity=0)
    with override_settings(STORAGES=PLAIN_STATIC_FILES):
        signed_in("radiologist")
        ModelVersion.objects.get_or_create(
            name=MODEL[0], version=MODEL[1], defaults={"modality": "US", "status": "released", "active": True}
        )
        fill(SMALL)
        _reviewed()
        small = _measured(requests)
        fill(LARGE - SMALL, first=SMALL)
        _reviewed()
        large = _measured(requests)
    return [row for name in small for row in _rows(name, small[name], large[name])]
