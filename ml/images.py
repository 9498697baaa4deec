"""From a file to pixels, and from pixels to the square the network sees.

Geometry convention: pixel centres lie at half-integers, as in OpenCV's ``resize``.
"""

from __future__ import annotations

import stat
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from ml.contract import ImageError

Pixel = TypeVar("Pixel", np.uint8, np.float32)

MAX_PIXELS = 64_000_000
"""Largest image read, in pixels: four times the largest ultrasound export we know of, yet harmless to memory."""

FORMATS = ("PNG", "JPEG", "BMP", "TIFF")
"""What is decoded, as Pillow names it. Pillow knows many more; one of them, EPS, would start another program."""

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


# Pillow warns from 89 million pixels on; here such an image is refused, and a warning beside the refusal is noise. Once
# and for all, because `catch_warnings` round each call would not be safe in the threads of a batch.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """Read an image file as the person who made it would see it.

    The EXIF orientation is applied, transparency is laid over black, palettes are resolved and 16-bit grey is
    scaled by its own minimum and maximum.

    Args:
        path: a PNG, JPEG, BMP or TIFF file.

    Returns:
        uint8 array (H, W) for grey files, (H, W, 3) in RGB order for colour files.

    Raises:
        ImageError: the file is missing, empty, no regular file, may not be read, is no image, is truncated, holds
            several frames, more than ``MAX_PIXELS`` pixels or values that are no numbers.
    """
    path = Path(path)
    try:
        _check_file(path)
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ImageError(
                    f"{path.name} holds {image.width} x {image.height} pixels, more than the "
                    f"{MAX_PIXELS // 1_000_000} million this system reads. Export it at a lower resolution."
                )
            if image.format in ("PNG", "TIFF") and getattr(image, "is_animated", False):
                raise ImageError(f"{path.name} holds several frames. Export the one to be judged by itself.")
            return _pixels(ImageOps.exif_transpose(image), name=path.name)
    except FileNotFoundError as error:
        raise ImageError(f"{path.name} does not exist. Check the path.") from error
    except PermissionError as error:
        raise ImageError(f"{path.name} may not be read by this user. Change its permissions.") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{path.name} is not a readable image. Send a PNG, JPEG, BMP or TIFF file.") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{path.name} holds far too many pixels. Export it at a lower resolution.") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ImageError(f"{path.name} is damaged and cannot be read. Export or upload it again.") from error


def _check_file(path: Path) -> None:
    """Refuse what cannot be an image before it is opened: opening a pipe would wait for a writer for ever."""
    state = path.stat()
    if stat.S_ISDIR(state.st_mode):
        raise ImageError(f"{path.name} is a folder, not an image. Name the files in it.")
    if not stat.S_ISREG(state.st_mode):
        raise ImageError(f"{path.name} is no regular file. Copy the image into one.")
    if state.st_size == 0:
        raise ImageError(f"{path.name} is empty (0 bytes). Export or upload it again.")


def _pixels(image: Image.Image, *, name: str) -> NDArray[np.uint8]:
    if image.mode.startswith("I") or image.mode == "F":
        try:
            return stretch_to_uint8(np.asarray(image, dtype=np.float64))
        except ImageError as error:
            raise ImageError(f"{name}: {error}") from error
    if image.mode in ("L", "1"):
        return np.asarray(image.convert("L"))
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        opaque = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(opaque, image.convert("RGBA"))
    return np.asarray(image.convert("RGB"))


def stretch_to_uint8(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Scale any numeric array linearly so that its minimum becomes 0 and its maximum 255.

    Args:
        values: array of any real dtype.

    Returns:
        uint8 array of the same shape; all zeros where the input is constant.

    Raises:
        ImageError: a value is NaN or infinite.
    """
    exact: NDArray[np.float64] = np.asarray(values, dtype=np.float64)
    if not np.isfinite(exact).all():
        raise ImageError("The image holds values that are not numbers (NaN or infinite). Export it again.")
    low, high = float(exact.min()), float(exact.max())
    if high <= low:
        return np.zeros(exact.shape, np.uint8)
    return np.rint((exact - low) * (255.0 / (high - low))).astype(np.uint8)


def checked_pixels(image: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Refuse an array that is not an 8-bit image.

    Args:
        image: candidate array.

    Returns:
        the same pixels as a contiguous uint8 array (H, W) or (H, W, 3); (H, W, 1) loses its last axis.

    Raises:
        ImageError: wrong dtype, wrong number of channels or no pixels, each with what to do.
    """
    image = np.asarray(image)
    if image.dtype != np.uint8:
        raise ImageError(
            f"Pixels must be 8-bit unsigned integers, not {image.dtype}. "
            "Apply the display window first, or use ml.images.stretch_to_uint8."
        )
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
        raise ImageError(
            f"An image has shape (height, width) or (height, width, 3), not {tuple(image.shape)}. "
            "Remove the alpha channel or pass one frame at a time."
        )
    if image.shape[0] == 0 or image.shape[1] == 0:
        raise ImageError("The image has no pixels. Export it again.")
    return np.ascontiguousarray(image)


def to_grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Luma (ITU-R BT.601) of an RGB image; a grey image is returned as it is. uint8 (H, W)."""
    return image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where an image lies on the network's square canvas.

    The aspect ratio is kept: stretching would change the taller-than-wide shape that radiologists read as a sign of
    malignancy. The rest of the canvas is black, like the outside of an ultrasound sector.

    Attributes:
        height, width: size of the original image, pixels.
        side: side of the canvas, pixels.
        top, left: first canvas row and column that hold the image.
        inner_height, inner_width: size of the image on the canvas, pixels.
    """

    height: int
    width: int
    side: int
    top: int
    left: int
    inner_height: int
    inner_width: int

    @classmethod
    def fit(cls, *, height: int, width: int, side: int) -> Letterbox:
        """The largest centred placement of a ``height`` x ``width`` image on a ``side`` x ``side`` canvas."""
        scale = side / max(height, width)
        inner_height = min(side, max(1, round(height * scale)))
        inner_width = min(side, max(1, round(width * scale)))
        return cls(
            height=height,
            width=width,
            side=side,
            top=(side - inner_height) // 2,
            left=(side - inner_width) // 2,
            inner_height=inner_height,
            inner_width=inner_width,
        )

    def place(self, grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Draw the image on the canvas: uint8 (H, W) to uint8 (side, side)."""
        shrinks = self.inner_height * self.inner_width < self.height * self.width
        inner = cv2.resize(
            grey,
            (self.inner_width, self.inner_height),
            interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
        )
        canvas = np.zeros((self.side, self.side), np.uint8)
        canvas[self.top : self.top + self.inner_height, self.left : self.left + self.inner_width] = inner
        return canvas

    def crop(self, canvas: NDArray[Pixel]) -> NDArray[Pixel]:
        """The part of a (side, side[, C]) canvas that holds the image: the padding is removed."""
        return canvas[self.top : self.top + self.inner_height, self.left : self.left + self.inner_width]

    def restore(self, canvas: NDArray[np.float32]) -> NDArray[np.float32]:
        """Undo :meth:`place` for a map: float32 (side, side) to float32 (H, W), linear interpolation."""
        inner = np.ascontiguousarray(self.crop(canvas))
        return np.asarray(
            cv2.resize(inner, (self.width, self.height), interpolation=cv2.INTER_LINEAR), dtype=np.float32
        )


_SCALED = np.arange(256, dtype=np.float32) * np.float32(1 / 127.5) - np.float32(1)


def network_input(canvas: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Scale a canvas as MobileNetV2 was trained: uint8 (S, S) to float32 (1, S, S, 3) in [-1, 1]."""
    scaled = _SCALED[canvas]
    return np.asarray(cv2.merge([scaled, scaled, scaled]), dtype=np.float32)[None]
