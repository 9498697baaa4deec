"""Times the history over 1,000 and over 100,000 analyses, in one run: the second may take little longer than the first."""

from __future__ import annotations

import statistics
import time

from django.core.management import call_command
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.actions import create_user
from accounts.models import User
from portal.bench.history_data import fill
from portal.bench.table import Row, percentile

SMALL, LARGE = 1_000, 100_000
MOST_QUERIES = 12
LONGEST_SECONDS = 0.3
LARGEST_RATIO = 1.5
PLAIN_STATIC_FILES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
PAGES = {
    "first page": "",
    "sorted by patient": "?sort=patient",
    "sorted by confidence": "?sort=-confidence",
    "one result": "?label=malignant",
    "one modality": "?modality=MG",
    "last 90 days": "?from={since}",
    "search, one name": "?q=rossi-12",
    "search, a fifth of all": "?q=anna",
}


def _signed_in() -> Client:
    email = "bench@test.local"
    user = User.objects.filter(email=email).first()
    if user is None:
        user, _ = create_user(acting_user=None, email=email, role="radiologist")
    client = Client(SERVER_NAME="localhost")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def _timed(client: Client, address: str, *, requests: int) -> tuple[list[float], int]:
    """Return the seconds of each request and the queries of one. The first two only warm up."""
    seconds = []
    for _ in range(requests + 2):
        begin = time.perf_counter()
        answer = client.get(address)
        seconds.append(time.perf_counter() - begin)
        if answer.status_code != 200:
            raise RuntimeError(f"{address} answered {answer.status_code}.")
    with CaptureQueriesContext(connection) as queries:
        client.get(address)
    return seconds[2:], len(queries)


def _all_pages(client: Client, *, requests: int) -> dict[str, tuple[list[float], int]]:
    since = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 90 * 24 * 3600))
    address = reverse("history")
    return {
        name: _timed(client, address + query.format(since=since), requests=requests) for name, query in PAGES.items()
    }


def _row(what: str, seconds: list[float], queries: int) -> Row:
    p95 = percentile(seconds, 0.95)
    return Row(
        what=f"{what} ({queries} queries)",
        n=len(seconds),
        median=f"{statistics.median(seconds) * 1000:.0f} ms",
        p95=f"{p95 * 1000:.0f} ms",
        goal=f"p95 < {LONGEST_SECONDS * 1000:.0f} ms, <= {MOST_QUERIES} queries",
        met=p95 < LONGEST_SECONDS and queries <= MOST_QUERIES,
    )


def measure(*, requests: int) -> list[Row]:
    """Fill the database that is set up, and time each page at both sizes.

    Args:
        requests: how often each page is asked for.
    """
    call_command("migrate", verbosity=0)
    with override_settings(STORAGES=PLAIN_STATIC_FILES):
        client = _signed_in()
        fill(SMALL)
        small = _all_pages(client, requests=requests)
        fill(LARGE - SMALL, first=SMALL)
        large = _all_pages(client, requests=requests)
    rows = []
    for name in PAGES:
        for size, pages in ((SMALL, small), (LARGE, large)):
            seconds, queries = pages[name]
            rows.append(_row(f"history of {size:,}: {name}", seconds, queries))
        ratio = statistics.median(large[name][0]) / statistics.median(small[name][0])
        first = name == next(iter(PAGES))
        rows.append(
            Row(
                what=f"history: {name}, {LARGE:,} against {SMALL:,}",
                n=requests,
                median=f"x {ratio:.2f}",
                p95="-",
                goal=f"<= x {LARGEST_RATIO}" if first else "stated",
                met=ratio <= LARGEST_RATIO if first else None,
            )
        )
    return rows
