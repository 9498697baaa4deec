"""Times the ledger: what a row adds to a page, how long 100,000 rows take to verify, and how fast they are searched."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone

from accounts import audit
from accounts.actions import create_patient, create_user
from accounts.ledger.verification import verify
from accounts.models import AuditEvent, Patient, User
from portal.bench.history import PLAIN_STATIC_FILES
from portal.bench.ledger_data import fill
from portal.bench.table import Row, percentile

ROWS = 100_000
LARGEST_ADDITION_SECONDS = 0.003
LONGEST_VERIFICATION_SECONDS = 10.0
LONGEST_PAGE_SECONDS = 0.3
VERIFICATIONS = 3
PAIRS_A_REQUEST = 5
"""A difference of a few milliseconds needs more pairs than a page needs requests."""
SEARCHES = {
    "newest rows": "",
    "one person": "?person={person}",
    "one record": "?patient={patient}",
    "one action": "?action=report.downloaded",
    "text of the action": "?q=opened",
    "one channel and 90 days": "?channel=worker&from={since}",
    "nothing matches": "?action=history.exported&channel=admin",
    "page 1,000": "?before=50000",
}


def _people() -> tuple[User, User, Patient]:
    people = []
    for name, role in (("ledger-a", "administrator"), ("ledger-r", "radiologist")):
        email = f"{name}@test.local"
        user = User.objects.filter(email=email).first()
        people.append(user or create_user(acting_user=None, email=email, role=role)[0])
    patient = Patient.objects.filter(mrn="LEDGER-BENCH").first() or create_patient(
        acting_user=None,
        mrn="LEDGER-BENCH",
        given_name="Bench",
        family_name="Ledger",
        birth_date=date(1970, 1, 1),
        sex="F",
        synthetic=True,
    )
    return people[0], people[1], patient


def _signed_in(user: User) -> Client:
    client = Client(SERVER_NAME="localhost")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@contextmanager
def _silent() -> Iterator[None]:
    """Have nothing written: what the same page takes without a ledger."""

    def nothing(*args: Any, **kwargs: Any) -> None:
        return None

    written, viewed = audit._append, audit.note_viewing
    audit._append, audit.note_viewing = nothing, nothing  # type: ignore[assignment]
    try:
        yield
    finally:
        audit._append, audit.note_viewing = written, viewed


@dataclass(frozen=True, slots=True)
class Timed:
    """One request: wall-clock time, and what the process itself worked, SQLite included."""

    seconds: float
    cpu_seconds: float


def _timed(client: Client, address: str) -> Timed:
    begin, cpu_begin = time.perf_counter(), time.process_time()
    answer = client.get(address)
    timed = Timed(time.perf_counter() - begin, time.process_time() - cpu_begin)
    if answer.status_code != 200:
        raise RuntimeError(f"{address} answered {answer.status_code}.")
    return timed


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def _spread(values: Sequence[float]) -> str:
    return f"5-95 %: {_milliseconds(percentile(values, 0.05))} to {_milliseconds(percentile(values, 0.95))}"


def _addition(client: Client, address: str, *, what: str, requests: int) -> list[Row]:
    """The same page with and without its row, in turns, so that a busy moment falls on both."""
    pairs = []
    for _ in range(requests + 2):
        with_row = _timed(client, address)
        with _silent():
            pairs.append((with_row, _timed(client, address)))
    del pairs[:2]
    added = [one.seconds - other.seconds for one, other in pairs]
    worked = [one.cpu_seconds - other.cpu_seconds for one, other in pairs]
    ratio = statistics.median(one.seconds for one, _ in pairs) / statistics.median(one.seconds for _, one in pairs)
    return [
        Row(
            what=f"{what}: a row of the ledger adds ({_spread(added)}; with / without: x {ratio:.2f})",
            n=len(added),
            median=_milliseconds(statistics.median(added)),
            p95=_milliseconds(percentile(added, 0.95)),
            goal=f"median <= {_milliseconds(LARGEST_ADDITION_SECONDS)}",
            met=statistics.median(added) <= LARGEST_ADDITION_SECONDS,
        ),
        Row(
            what=f"{what}: of that processor time ({_spread(worked)})",
            n=len(worked),
            median=_milliseconds(statistics.median(worked)),
            p95=_milliseconds(percentile(worked, 0.95)),
            goal="stated",
        ),
    ]


def _disk(times: int) -> Row:
    """How long this disk takes to keep 4 KB: a row waits for it once, and no program can make that shorter."""
    taken = []
    with tempfile.TemporaryFile(dir=settings.DATA_DIR) as file:
        for _ in range(times):
            file.write(bytes(4_096))
            file.flush()
            begin = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - begin)
    return Row(
        what="one fsync of this disk, which every row waits for",
        n=times,
        median=_milliseconds(statistics.median(taken)),
        p95=_milliseconds(percentile(taken, 0.95)),
        goal="stated",
    )


def _verification() -> Row:
    taken = []
    for _ in range(VERIFICATIONS):
        begin = time.perf_counter()
        found = verify()
        taken.append(time.perf_counter() - begin)
        if not found.is_sound:
            raise RuntimeError("The ledger that was filled is not whole.")
    return Row(
        what=f"verify_audit, {found.rows:,} rows",
        n=len(taken),
        median=f"{statistics.median(taken):.2f} s",
        p95=f"{max(taken):.2f} s",
        goal=f"< {LONGEST_VERIFICATION_SECONDS:.0f} s",
        met=max(taken) < LONGEST_VERIFICATION_SECONDS,
    )


def _searches(client: Client, *, person: User, patient: Patient, requests: int) -> list[Row]:
    since = (timezone.now() - timedelta(days=90)).strftime("%Y-%m-%d")
    rows = []
    for name, query in SEARCHES.items():
        address = reverse("ledger") + query.format(person=person.pk, patient=patient.pk, since=since)
        seconds = [_timed(client, address).seconds for _ in range(requests + 1)][1:]
        p95 = percentile(seconds, 0.95)
        rows.append(
            Row(
                what=f"ledger of {ROWS:,}: {name}",
                n=len(seconds),
                median=_milliseconds(statistics.median(seconds)),
                p95=_milliseconds(p95),
                goal=f"p95 < {_milliseconds(LONGEST_PAGE_SECONDS)}",
                met=p95 < LONGEST_PAGE_SECONDS,
            )
        )
    return rows


def measure(*, requests: int) -> list[Row]:
    """Time the ledger of the database that is set up, empty and at :data:`ROWS` rows.

    Args:
        requests: how often each page is asked for.
    """
    call_command("migrate", verbosity=0)
    administrator, radiologist, patient = _people()
    with override_settings(STORAGES=PLAIN_STATIC_FILES):
        reading, searching = _signed_in(radiologist), _signed_in(administrator)
        record = reverse("patient-detail", args=[patient.pk])
        pairs = PAIRS_A_REQUEST * requests
        rows = [_disk(requests)]
        rows += _addition(reading, record, what="patient's page, empty ledger", requests=pairs)
        fill(ROWS)
        rows += _addition(reading, record, what=f"patient's page, ledger of {ROWS:,}", requests=pairs)
        rows += [_disk(requests), _verification()]
        rows += _searches(searching, person=radiologist, patient=patient, requests=requests)
        rows += _access(searching, patient, requests=requests)
    return rows


def _access(client: Client, patient: Patient, *, requests: int) -> list[Row]:
    address = reverse("patient-access", args=[patient.pk])
    seconds = [_timed(client, address).seconds for _ in range(requests + 1)][1:]
    p95 = percentile(seconds, 0.95)
    return [
        Row(
            what=f"who opened one record, {AuditEvent.objects.filter(patient=patient).count():,} rows on it",
            n=len(seconds),
            median=_milliseconds(statistics.median(seconds)),
            p95=_milliseconds(p95),
            goal=f"p95 < {_milliseconds(LONGEST_PAGE_SECONDS)}",
            met=p95 < LONGEST_PAGE_SECONDS,
        )
    ]
