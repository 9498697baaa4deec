"""Whatever a folder holds, every file gets a line: judged, or refused with its name and what to do."""

from __future__ import annotations

import io
import json
import os
import random
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ml.__main__ import main
from ml.bench import synthetic_image
from ml.contract import ImageError, OutcomeState
from ml.images import read_image
from ml.pipeline import analyse

ROOT = Path(__file__).resolve().parents[2]


def saved(path: Path, image: Image.Image | np.ndarray, **options) -> Path:
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(path, **options)
    return path


@pytest.fixture(scope="module")
def frame() -> np.ndarray:
    return synthetic_image()


# Kinds of image that are read: the answer is that of the same grey image


def as_palette(grey: np.ndarray) -> Image.Image:
    return Image.fromarray(grey).convert("P")


def as_opaque(grey: np.ndarray) -> Image.Image:
    return Image.fromarray(grey).convert("RGBA")


def as_grey_with_alpha(grey: np.ndarray) -> Image.Image:
    return Image.fromarray(grey).convert("LA")


def as_sixteen_bit(grey: np.ndarray) -> Image.Image:
    # The full range, so that the stretch to 8 bits gives the same grey levels back.
    exact = grey.astype(np.float64)
    return Image.fromarray(np.rint((exact - exact.min()) / np.ptp(exact) * 65535).astype(np.uint16))


def as_real_numbers(grey: np.ndarray) -> Image.Image:
    return Image.fromarray((grey / 255 * 3.7 - 1).astype(np.float32))


@pytest.mark.parametrize(
    ("make", "suffix"),
    [
        (Image.fromarray, ".png"),
        (Image.fromarray, ".bmp"),
        (Image.fromarray, ".tif"),
        (as_palette, ".png"),
        (as_opaque, ".png"),
        (as_grey_with_alpha, ".png"),
        (as_sixteen_bit, ".png"),
        (as_sixteen_bit, ".tif"),
        (as_real_numbers, ".tif"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_every_way_to_store_a_grey_image_gives_its_answer(make, suffix, frame, tmp_path, loaded):
    # Stretched first: 16-bit and real images are, and shall then be the same image.
    grey = np.rint((frame - frame.min()) * (255 / np.ptp(frame))).astype(np.uint8)
    read = read_image(saved(tmp_path / f"a{suffix}", make(grey)))
    assert read.dtype == np.uint8
    assert analyse(read, loaded).prediction == analyse(grey, loaded).prediction


def test_cmyk_and_jpeg_of_grey_stay_grey_and_are_judged(frame, tmp_path, loaded):
    path = saved(tmp_path / "print.jpg", Image.fromarray(frame).convert("RGB").convert("CMYK"), quality=95)
    read = read_image(path)
    assert read.ndim == 3
    assert analyse(read, loaded).state is OutcomeState.SUCCEEDED


# Kinds that are refused by the reader: an error that names file and remedy


def truncated(path: Path, frame: np.ndarray) -> None:
    saved(path, frame)
    path.write_bytes(path.read_bytes()[:-20_000])


def empty(path: Path, _frame: np.ndarray) -> None:
    path.write_bytes(b"")


def a_folder(path: Path, _frame: np.ndarray) -> None:
    path.mkdir()


def a_pipe(path: Path, _frame: np.ndarray) -> None:
    os.mkfifo(path)


def a_dangling_link(path: Path, _frame: np.ndarray) -> None:
    path.symlink_to(path.parent / "gone.png")


def a_link_to_itself(path: Path, _frame: np.ndarray) -> None:
    path.symlink_to(path)


def text(path: Path, _frame: np.ndarray) -> None:
    path.write_text("Dear colleague, please find enclosed ...")


def a_program(path: Path, _frame: np.ndarray) -> None:
    path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 200 200\n(%pipe%touch executed) (w) file\n")


def animated(path: Path, frame: np.ndarray) -> None:
    frames = [Image.fromarray(frame), Image.fromarray(255 - frame)]
    frames[0].save(path, save_all=True, append_images=frames[1:])


def several_pages(path: Path, frame: np.ndarray) -> None:
    pages = [Image.fromarray(frame), Image.fromarray(255 - frame)]
    pages[0].save(path, format="TIFF", save_all=True, append_images=pages[1:])


def not_a_number(path: Path, frame: np.ndarray) -> None:
    real = frame.astype(np.float32)
    real[7, 7] = np.nan
    saved(path, real, format="TIFF")


def infinite(path: Path, frame: np.ndarray) -> None:
    real = frame.astype(np.float32)
    real[7, 7] = np.inf
    saved(path, real, format="TIFF")


def _stating(width: int, height: int) -> bytes:
    """The beginning of a PNG file that states a size; nobody should want to see the rest."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return start + struct.pack(">I", 1_000_000) + b"IDAT" + zlib.compress(b"\0" * 1000)


def far_too_large(path: Path, _frame: np.ndarray) -> None:
    path.write_bytes(_stating(60_000, 40_000))


def large(path: Path, _frame: np.ndarray) -> None:
    path.write_bytes(_stating(10_000, 9_000))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (truncated, "damaged"),
        (empty, "is empty"),
        (a_folder, "is a folder"),
        (a_pipe, "no regular file"),
        (a_dangling_link, "does not exist"),
        (a_link_to_itself, "damaged"),
        (text, "not a readable image"),
        (a_program, "not a readable image"),
        (animated, "several frames"),
        (several_pages, "several frames"),
        (not_a_number, "not numbers"),
        (infinite, "not numbers"),
        (far_too_large, "far too many pixels"),
        (large, "10000 x 9000 pixels"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_bad_file_is_refused_with_its_name_and_a_remedy(make, words, frame, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "scan.png", frame)
    with pytest.raises(ImageError, match=r"scan\.png") as caught:
        read_image(tmp_path / "scan.png")
    assert words in str(caught.value)
    assert str(caught.value).count(". ") >= 1, "what is wrong, then what to do"
    assert not (tmp_path / "executed").exists()


def test_a_file_that_may_not_be_read_says_so(frame, tmp_path, monkeypatch):
    path = saved(tmp_path / "scan.png", frame)
    path.chmod(0)
    if os.access(path, os.R_OK):
        # The superuser reads everything; what another user's system would answer is put in its place.
        def denied(*_arguments, **_options):
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(Image, "open", denied)
    with pytest.raises(ImageError, match=r"scan\.png may not be read by this user. Change its permissions"):
        read_image(path)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_files_damaged_at_random_are_read_or_refused_nothing_else(tmp_path):
    chance = random.Random(5)
    whole = []
    for options in ({"format": "PNG"}, {"format": "JPEG"}, {"format": "BMP"}, {"format": "TIFF"}):
        buffer = io.BytesIO()
        Image.fromarray(synthetic_image(height=48, width=60)).save(buffer, **options)
        whole.append(buffer.getvalue())
    path = tmp_path / "scan.png"
    seen = set()
    for _ in range(400):
        content = bytearray(chance.choice(whole))
        for _ in range(chance.choice((1, 3, 12))):
            content[chance.randrange(min(len(content), chance.choice((64, 4096))))] = chance.choice((0, 255, 77))
        if chance.random() < 0.2:
            del content[chance.randrange(1, len(content)) :]
        path.write_bytes(content)
        try:
            assert read_image(path).dtype == np.uint8
            seen.add("read")
        except ImageError as error:
            assert "scan.png" in str(error)
            seen.add("refused")
    assert seen == {"read", "refused"}


# Images that are read and refused by the gates


@pytest.mark.parametrize(
    ("image", "check"),
    [
        (np.zeros((1, 1), np.uint8), "size"),
        (np.full((40, 40), 90, np.uint8), "size"),
        (np.full((300, 400), 128, np.uint8), "blank"),
        (np.zeros((300, 400), np.uint8), "blank"),
        (np.full((300, 400, 3), 255, np.uint8), "blank"),
        (np.zeros((2, 30_000), np.uint8), "aspect"),
        (np.zeros((30_000, 1), np.uint8), "size"),
    ],
)
def test_tiny_constant_and_stretched_images_are_refused_by_name_of_the_check(image, check, loaded):
    outcome = analyse(image, loaded)
    assert outcome.state is OutcomeState.REJECTED
    assert outcome.prediction is None
    assert check in [each.name for each in outcome.quality.checks if not each.passed]
    assert outcome.reasons


def test_a_large_image_is_judged_and_its_maps_have_its_size(loaded):
    image = synthetic_image(height=1500, width=2000)
    outcome = analyse(image, loaded)
    assert outcome.state is OutcomeState.SUCCEEDED
    assert outcome.class_maps["malignant"].shape == image.shape


# The command


def test_one_folder_with_everything_in_it_gets_a_line_for_each_file(frame, tmp_path, capsys):
    folder = tmp_path / "scans"
    folder.mkdir()
    for make in (truncated, empty, text, a_pipe, a_dangling_link, animated, not_a_number):
        make(folder / f"{make.__name__}.png", frame)
    a_folder(folder / "inner.png", frame)
    saved(folder / "inner.png" / "good.png", frame)
    saved(folder / "blank.png", np.zeros((300, 400), np.uint8))
    assert main(["predict", "--json", str(folder)]) == 0
    said = capsys.readouterr()
    lines = {Path(line["file"]).name: line for line in map(json.loads, said.out.splitlines())}
    assert len(lines) == 9
    assert lines.pop("good.png")["state"] == "succeeded"
    for name, line in lines.items():
        assert line["state"] == "rejected"
        assert line["probabilities"] is None
        assert line["reasons"]
        assert (name in said.err) is (name != "blank.png"), "what could not be read is listed at the end"
    assert "7 of 9 files could not be read:" in said.err


def test_a_name_that_is_no_utf_8_and_one_with_control_characters_are_spelt_out(frame, tmp_path):
    strange = os.fsencode(tmp_path) + b"/caf\xe9\x1b[31m.png"
    try:
        Path(os.fsdecode(strange)).write_bytes(b"")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    good = saved(tmp_path / "gut-é.png", frame)
    plain = subprocess.run(
        [sys.executable, "-m", "ml", "predict", strange, str(good)],
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        check=True,
    )
    assert b"\x1b" not in plain.stdout + plain.stderr
    assert rb"caf\udce9\x1b[31m.png: rejected" in plain.stdout
    assert "gut-é.png: ".encode() in plain.stdout
    as_json = subprocess.run(
        [sys.executable, "-m", "ml", "predict", "--json", strange], capture_output=True, cwd=ROOT, check=True
    )
    assert os.fsencode(json.loads(as_json.stdout)["file"]) == strange


def test_a_folder_that_cannot_be_listed_is_named_and_the_rest_goes_on(frame, tmp_path, capsys, monkeypatch):
    saved(tmp_path / "good.png", frame)
    (tmp_path / "locked").mkdir()
    listed = os.scandir

    def locked(path="."):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", locked)
    assert main(["predict", "--json", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert json.loads(said.out)["state"] == "succeeded"
    assert "locked could not be listed" in said.err
