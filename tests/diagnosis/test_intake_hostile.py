"""Files that were made to harm are refused at the door, with a sentence and without cost."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from diagnosis import raster
from diagnosis.intake import DECODED_AT_ONCE, IntakeRejected, Limits, receive
from tests.fixture_hostile import HOSTILE
from tests.fixture_images import good_dicom, good_jpeg, good_png

PROJECT = Path(__file__).resolve().parents[2]
MAX_EXTRA_MEMORY_KB = 200 * 1024
BOMBS = [name for name in HOSTILE if "bomb" in name or "000" in name or "million" in name or "65,535" in name]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_with_a_reason(name):
    hostile = HOSTILE[name]
    with pytest.raises(IntakeRejected) as refusal:
        receive(hostile.make(), filename=hostile.filename, declared_type=hostile.content_type)
    assert (refusal.value.http_status, refusal.value.code) == (hostile.status, hostile.code)
    sentence = refusal.value.message
    assert "Nothing was kept." in sentence
    assert sentence.endswith(".")
    for technical in ("Traceback", "Error", "0x", "None", "<", "pydicom", "Pillow"):
        assert technical not in sentence


def test_bombs_do_not_take_memory():
    """In a process of its own, so that the peak is the bombs' and not that of the tests before."""
    script = """
import resource, sys
from diagnosis.intake import IntakeRejected, receive
from tests.fixture_hostile import HOSTILE
files = [(name, HOSTILE[name].make()) for name in sys.argv[1:]]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name, file in files:
    try:
        receive(file, filename="bomb")
    except IntakeRejected:
        continue
    sys.exit(f"{name} was accepted")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    finished = subprocess.run(
        [sys.executable, "-c", script, *BOMBS], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert int(finished.stdout.split()[-1]) < MAX_EXTRA_MEMORY_KB


def test_an_upload_of_200_mb_is_too_large():
    with pytest.raises(IntakeRejected, match="64 MB") as refusal:
        receive(bytes(200 * 1024 * 1024), filename="big.dcm")
    assert refusal.value.http_status == 413


def test_the_cause_is_kept_for_the_log_and_out_of_the_sentence():
    with pytest.raises(IntakeRejected) as refusal:
        receive(HOSTILE["truncated png"].make(), filename="a.png")
    assert refusal.value.__cause__ is not None


def test_running_out_of_memory_is_a_refusal(monkeypatch):
    def exhausted(*args, **options):
        raise MemoryError

    monkeypatch.setattr("diagnosis.raster.decode", exhausted)
    with pytest.raises(IntakeRejected, match="could not be read"):
        receive(good_png(), filename="a.png")


def test_the_limits_are_the_callers_to_set():
    for make in (good_png, good_jpeg, good_dicom):
        with pytest.raises(IntakeRejected) as refusal:
            receive(make(), filename="image", limits=Limits(max_pixels=100))
        assert refusal.value.code == "too_many_pixels"


def test_many_uploads_at_once_do_not_disturb_each_other():
    files = [good_png(seed) for seed in range(8)] + [good_dicom(seed=seed) for seed in range(8)]
    alone = [receive(file, filename="image").png for file in files]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda file: receive(file, filename="image").png, files * 3))
    assert together == alone * 3


def test_the_door_needs_neither_django_nor_tensorflow():
    script = (
        "import sys, diagnosis.intake; "
        "print(sorted({'django', 'tensorflow', 'keras', 'cv2', 'celery'} & set(sys.modules)))"
    )
    finished = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"


def test_no_more_than_two_uploads_are_decoded_at_a_time_so_that_small_files_cannot_fill_the_memory(monkeypatch):
    inside, most, lock = [], [], threading.Lock()
    decode = raster.decode

    def watched(*arguments, **options):
        with lock:
            inside.append(1)
            most.append(len(inside))
        time.sleep(0.02)
        try:
            return decode(*arguments, **options)
        finally:
            with lock:
                inside.pop()

    monkeypatch.setattr(raster, "decode", watched)
    with ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(lambda seed: receive(good_png(seed), filename="a.png"), range(8)))
    assert (len(taken), max(most)) == (8, DECODED_AT_ONCE)
