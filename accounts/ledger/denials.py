"""Refusals in the ledger: each kind at once, but a program that knocks ten thousand times does not fill the disk.

The first of a kind is a row at once, then the 10th, the 100th and so on, each with how often it was by then; what a
window leaves untold is told by the next refusal after it. Each web process counts by itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from accounts import audit
from accounts.models import Patient, User
from portal.channel import through

WINDOW_SECONDS = 5 * 60.0
MOST_KINDS = 50
"""Kinds of refusal in one window that one person, or one address, gets rows for; the rest are one kind together."""
MOST_REMEMBERED = 10_000

ACTION = "access.denied"
KeyT = TypeVar("KeyT", bound=Hashable)


@dataclass(slots=True)
class _Count:
    ends: float
    happened: int = 0
    told: int = 0


@dataclass(slots=True)
class Windows(Generic[KeyT]):
    """Counts by key, each in its own window of :data:`WINDOW_SECONDS`."""

    now: Callable[[], float] = time.monotonic
    _counts: dict[KeyT, _Count] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, key: KeyT) -> int:
        """Count one; how often it was in its window."""
        with self._lock:
            count = self._counts.get(key)
            if count is None or count.ends < self.now():
                if len(self._counts) >= MOST_REMEMBERED:
                    self._counts.clear()
                count = self._counts[key] = _Count(ends=self.now() + WINDOW_SECONDS)
            count.happened += 1
            return count.happened

    def tell(self, key: KeyT) -> None:
        """Note that all of a key so far are in the ledger."""
        with self._lock:
            if key in self._counts:
                self._counts[key].told = self._counts[key].happened

    def take_left(self) -> list[tuple[KeyT, int]]:
        """Keys whose window is over, with how often it was, where that was not told. Each is handed out once."""
        with self._lock:
            over = [(key, count) for key, count in self._counts.items() if count.ends < self.now()]
            for key, _ in over:
                del self._counts[key]
        return [(key, count.happened) for key, count in over if count.happened > count.told]

    def clear(self) -> None:
        with self._lock:
            self._counts.clear()


@dataclass(frozen=True, slots=True)
class Denial:
    """One kind of refusal: who was refused what, and why.

    Attributes:
        user_id: ``None`` for a stranger.
        address: of the client.
        channel: the door (``portal.channel``).
        reason: ``role``, ``not_theirs``, ``refused`` or ``not_signed_in``.
        page: name of the address, empty for "many different ones".
        asked: what the table was asked, such as ``patient.view``.
        object_type, object_id: of the object in the address.
        status: of the answer.
        method: of the request.
    """

    user_id: int | None
    address: str | None
    channel: str
    reason: str
    page: str = ""
    asked: str = ""
    object_type: str = ""
    object_id: str = ""
    status: int = 0
    method: str = ""

    @property
    def who(self) -> tuple[int | None, str | None]:
        return (self.user_id, self.address)

    def without_object(self) -> Denial:
        return Denial(user_id=self.user_id, address=self.address, channel=self.channel, reason="many")


kinds: Windows[Denial] = Windows()
people: Windows[tuple[int | None, str | None]] = Windows()


def note(denial: Denial) -> None:
    """Count a refusal, and write it to the ledger where it is the first, the 10th, the 100th ... of its kind."""
    for left, happened in kinds.take_left():
        _write(left, happened)
    happened = kinds.add(denial)
    if happened == 1 and people.add(denial.who) > MOST_KINDS:
        kinds.tell(denial)
        denial = denial.without_object()
        happened = kinds.add(denial)
    if str(happened).rstrip("0") == "1":
        _write(denial, happened)
        kinds.tell(denial)


def _write(denial: Denial, happened: int) -> None:
    actor = User.objects.filter(pk=denial.user_id).first() if denial.user_id is not None else None
    patient = None
    if denial.object_type == "patient":
        patient = Patient.objects.filter(pk=denial.object_id).first()
    token = audit.client_address.set(denial.address)
    try:
        with through(denial.channel):
            audit.record_of(
                ACTION,
                actor=actor,
                object_type=denial.object_type,
                object_id=denial.object_id,
                patient=patient,
                reason=denial.reason,
                page=denial.page,
                asked=denial.asked,
                status=denial.status,
                method=denial.method,
                times=happened,
            )
    finally:
        audit.client_address.reset(token)
