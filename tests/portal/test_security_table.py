"""docs/security.md goes through every requirement of ASVS 5.0.0, levels 1 and 2, and names only tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TABLE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
LEVELS_1_AND_2 = """
V1.1: 1-2; V1.2: 1-9; V1.3: 1-11; V1.4: 1-3; V1.5: 1-2; V2.1: 1-3; V2.2: 1-3; V2.3: 1-4; V2.4: 1; V3.2: 1-2; V3.3: 1-4;
V3.4: 1-6; V3.5: 1-5; V3.7: 1-2; V4.1: 1-3; V4.2: 1; V4.3: 1-2; V4.4: 1-4; V5.1: 1; V5.2: 1-3; V5.3: 1-2; V5.4: 1-3;
V6.1: 1-3; V6.2: 1-12; V6.3: 1-4; V6.4: 1-4; V6.5: 1-5; V6.6: 1-3; V6.8: 1-4; V7.1: 1-3; V7.2: 1-4; V7.3: 1-2;
V7.4: 1-5; V7.5: 1-2; V7.6: 1-2; V8.1: 1-2; V8.2: 1-3; V8.3: 1; V8.4: 1; V9.1: 1-3; V9.2: 1-4; V10.1: 1-2; V10.2: 1-2;
V10.3: 1-4; V10.4: 1-11; V10.5: 1-5; V10.6: 1-2; V10.7: 1-3; V11.1: 1-2; V11.2: 1-3; V11.3: 1-3; V11.4: 1-4; V11.5: 1;
V11.6: 1; V12.1: 1-3; V12.2: 1-2; V12.3: 1-4; V13.1: 1; V13.2: 1-5; V13.3: 1-2; V13.4: 1-5; V14.1: 1-2; V14.2: 1-4;
V14.3: 1-3; V15.1: 1-3; V15.2: 1-3; V15.3: 1-7; V16.1: 1; V16.2: 1-5; V16.3: 1-4; V16.4: 1-3; V16.5: 1-3; V17.1: 1;
V17.2: 1-4; V17.3: 1-2
"""
"""Section: numbers, as the standard's own table lists them."""
ROWS = [
    [cell.strip() for cell in line.strip().strip("|").split("|")]
    for line in TABLE.splitlines()
    if re.match(r"\| V\d", line)
]


def _requirements() -> set[str]:
    found = set()
    for entry in LEVELS_1_AND_2.replace("\n", " ").split(";"):
        section, _, numbers = entry.strip().partition(": ")
        first, _, last = numbers.partition("-")
        found |= {f"{section}.{number}" for number in range(int(first), int(last or first) + 1)}
    return found


def test_every_requirement_has_one_row_or_a_reason():
    listed = [row[0] for row in ROWS]
    beside = re.findall(r"V\d+\.\d+\.\d+", TABLE[TABLE.index("## What does not apply") :])

    assert len(listed) == len(set(listed))
    # "as V4.1.3" and "scoped under V8.2.2" point to rows.
    assert set(listed) | set(beside) == _requirements()


THREATS = [
    [cell.strip() for cell in line.strip().strip("|").split("|")]
    for line in (ROOT / "SECURITY.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith(("| ---", "| who |"))
]
"""Rows of SECURITY.md: who, what for, what stands in the way, where it is tried."""


def test_the_model_of_threats_has_rows():
    assert len(THREATS) > 10


@pytest.mark.parametrize("row", THREATS, ids=[row[0] for row in THREATS])
def test_a_threat_names_tests_that_exist(row):
    assert len(row) == 4
    tried = re.findall(r"`([^`]+)`", row[3])

    assert tried
    assert row[3] == ", ".join(f"`{name}`" for name in tried)
    for name in tried:
        assert re.fullmatch(r"tests/\w+/test_\w+\.py", name)
        assert (ROOT / name).is_file(), f"{row[0]} names {name}"


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_row_names_evidence_that_exists(row):
    requirement, _, state, how, evidence = row

    assert state in ("met", "partly", "site")
    assert how
    for place in evidence.split(", "):
        assert (ROOT / place).is_file(), f"{requirement} names {place}"
        if state == "met":
            assert place.startswith(("tests/", "docs/"))
