"""Times the history over 1,000 and over 100,000 analyses in one run: the second may take little longer."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

from django.core.management import call_command
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.actions import create_user
from accounts.models import User
from portal.bench.history_data import fill, join_teams, share_among_teams
from portal.bench.table import Row, percentile

SMALL, LARGE = 1_000, 100_000
MOST_QUERIES = 12
LONGEST_SECONDS = 0.3
LARGEST_RATIO = 1.5
PLAIN_STATIC_FILES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
SEARCH = "?q="
PAGES = {
    "first page": "",
    "sorted by patient": "?sort=patient",
    "sorted by confidence": "?sort=-confidence",
    "one result": "?label=malignant",
    "one modality": "?modality=MG",
    "last 90 days": "?from={since}",
    "search, one name": f"{SEARCH}rossi-12",
    "search, a fifth of all": f"{SEARCH}anna",
}
TEAMS = 10
IN_TEAMS = ("first page", "sorted by patient", "one result")
"""The pages that are timed again for somebody who sees the studies of some of the teams."""


def signed_in(role: str) -> Client:
    """A browser of somebody with this role."""
    email = f"bench-{role}@test.local"
    user = User.objects.filter(email=email).first()
    if user is None:
        user, _ = create_user(acting_user=None, email=email, role=role)
    client = Client(SERVER_NAME="localhost")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@dataclass(frozen=True, slots=True)
class Timed:
    """What one page took.

    Attributes:
        seconds: wall-clock time of each request.
        cpu_seconds: time the process itself worked on each, database included: SQLite runs inside it.
        queries: of one request.
    """

    seconds: list[float]
    cpu_seconds: list[float]
    queries: int


def timed(client: Client, address: str, *, requests: int) -> Timed:
    """Ask for a page; the first two times only warm up."""
    seconds, cpu_seconds = [], []
    for _ in range(requests + 2):
        begin, cpu_begin = time.perf_counter(), time.process_time()
        answer = client.get(address)
        cpu_seconds.append(time.process_time() - cpu_begin)
        seconds.append(time.perf_counter() - begin)
        if answer.status_code != 200:
            raise RuntimeError(f"{address} answered {answer.status_code}.")
    with CaptureQueriesContext(connection) as queries:
        client.get(address)
    return Timed(seconds=seconds[2:], cpu_seconds=cpu_seconds[2:], queries=len(queries))


def _address(client: Client, query: str) -> str:
    """The address of a page; words that are searched for are sent as a form, and answered by one that hides them."""
    since = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 90 * 24 * 3600))
    history = reverse("history")
    if query.startswith(SEARCH):
        return client.post(history, {"q": query.removeprefix(SEARCH)})["Location"]
    return history + query.format(since=since)


def _all_pages(client: Client, *, requests: int) -> dict[str, Timed]:
    return {name: timed(client, _address(client, query), requests=requests) for name, query in PAGES.items()}


def _row(what: str, page: Timed) -> Row:
    p95 = percentile(page.seconds, 0.95)
    return Row(
        what=f"{what} ({page.queries} queries)",
        n=len(page.seconds),
        median=f"{statistics.median(page.seconds) * 1000:.0f} ms",
        p95=f"{p95 * 1000:.0f} ms",
        goal=f"p95 < {LONGEST_SECONDS * 1000:.0f} ms, <= {MOST_QUERIES} queries",
        met=p95 < LONGEST_SECONDS and page.queries <= MOST_QUERIES,
    )


def _ratio(name: str, small: Timed, large: Timed, *, is_goal: bool) -> Row:
    """Compares processor time: other work on the machine would fall on one of the two sizes only."""
    ratio = statistics.median(large.cpu_seconds) / statistics.median(small.cpu_seconds)
    return Row(
        what=f"history: {name}, {LARGE:,} against {SMALL:,}, processor time",
        n=len(large.cpu_seconds),
        median=f"x {ratio:.2f}",
        p95="-",
        goal=f"<= x {LARGEST_RATIO}" if is_goal else "stated",
        met=ratio <= LARGEST_RATIO if is_goal else None,
    )


def measure(*, requests: int) -> list[Row]:
    """Fill the database that is set up, and time each page at both sizes.

    Args:
        requests: how often each page is asked for.
    """
    call_command("migrate", verbosity=0)
    with override_settings(STORAGES=PLAIN_STATIC_FILES):
        client = signed_in("radiologist")
        fill(SMALL)
        small = _all_pages(client, requests=requests)
        fill(LARGE - SMALL, first=SMALL)
        large = _all_pages(client, requests=requests)
        teams = share_among_teams(TEAMS)
        scoped = {}
        for count in (1, TEAMS - 1):
            join_teams(User.objects.get(email="bench-radiologist@test.local"), teams[:count])
            for name in IN_TEAMS:
                address = _address(client, PAGES[name])
                scoped[f"{name}, in {count} of {TEAMS} teams"] = timed(client, address, requests=requests)
    rows = []
    for number, name in enumerate(PAGES):
        rows.append(_row(f"history of {SMALL:,}: {name}", small[name]))
        rows.append(_row(f"history of {LARGE:,}: {name}", large[name]))
        rows.append(_ratio(name, small[name], large[name], is_goal=number == 0))
    rows += [_row(f"history of {LARGE:,}: {name}", page) for name, page in scoped.items()]
    return rows
