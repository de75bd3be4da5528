"""Bytes of an image file to a small uint8 array, with limits: nothing in a file can take much memory or stop the caller."""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from pal_backend.errors import InputError
from pal_backend.pool_index import MAX_FILE_BYTES, content_type

MAX_PIXELS = 50_000_000
"""Width times height; a file of a few kilobytes can claim to be an image of gigabytes."""
FORMATS = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/gif": "GIF",
    "image/webp": "WEBP",
    "image/bmp": "BMP",
}
"""Media type to Pillow's name; no other decoder of Pillow is ever reached."""
GREY_SPREAD = 4
"""Greatest difference of the channels of a pixel that still counts as grey; JPEG rounds by a step or two."""


class Decoded(NamedTuple):
    """A decoded image: ``pixels`` uint8 (S, S, 3), and the width and height of the original as a person sees it."""

    pixels: NDArray[np.uint8]
    width: int
    height: int


def decode(data: bytes, side: int, *, max_bytes: int = MAX_FILE_BYTES, max_pixels: int = MAX_PIXELS) -> Decoded:
    """Decode a PNG, JPEG, WebP or BMP file or the first frame of a GIF to ``side`` x ``side`` pixels.

    The image is turned upright by its EXIF orientation, laid on white where it is transparent, and made smaller with
    antialiasing. Its shape is kept: the rest of the square is filled with the mean colour of its edge, because shape
    tells things apart and a plain background should go on without a seam.

    Raises:
        InputError: too large, of another type, damaged or cut short; the message says which.
    """
    if len(data) > max_bytes:
        raise InputError(f"the file has {len(data) / 1e6:.0f} MB; an image may have {max_bytes / 1e6:g} MB")
    media = content_type(data)
    if media is None:
        raise InputError("not an image of a known type; expected PNG, JPEG, WebP, GIF or BMP")
    try:
        return _decode(data, FORMATS[media], side, max_pixels)
    except InputError:
        raise
    except Image.DecompressionBombError:
        raise InputError(f"the image claims more than the {max_pixels / 1e6:g} million pixels allowed") from None
    except Exception as problem:
        # Decoders raise anything from struct.error to SyntaxError on damaged files; one bad file must not stop the rest.
        raise InputError(f"a damaged {FORMATS[media]} file: {_reason(problem)}") from None


def is_grey(pixels: NDArray[np.uint8]) -> bool:
    """Whether an image or a stack of them, uint8 (..., 3), has no colour in it."""
    if pixels.size == 0:
        return True
    return int((pixels.max(axis=-1) - pixels.min(axis=-1)).max()) <= GREY_SPREAD


def resize(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """A square image, uint8 (S, S, 3), in another size."""
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS))


def _decode(data: bytes, kind: str, side: int, max_pixels: int) -> Decoded:
    with Image.open(io.BytesIO(data), formats=[kind]) as image:
        width, height = image.size
        if width * height > max_pixels:
            raise InputError(f"the image has {width} x {height} pixels; {max_pixels / 1e6:g} million are allowed")
        # JPEG can be decoded at a fraction of its size; twice the target leaves enough for antialiasing.
        image.draft("RGB", (2 * side, 2 * side))
        image.load()
        shown = ImageOps.exif_transpose(image)
        if (shown.width < shown.height) != (image.width < image.height):
            width, height = height, width
        return Decoded(_square(_rgb(shown), side), width, height)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits a pixel; Pillow's own conversion clips instead of scaling
        return Image.fromarray((np.asarray(image).astype(np.int64).clip(0, 65_535) >> 8).astype(np.uint8)).convert(
            "RGB"
        )
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _square(image: Image.Image, side: int) -> NDArray[np.uint8]:
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    small = np.asarray(image.resize(size, Image.Resampling.LANCZOS))
    if small.shape == (side, side, 3):
        return small
    edge = np.concatenate([small[0], small[-1], small[:, 0], small[:, -1]])
    square = np.empty((side, side, 3), np.uint8)
    square[:] = edge.mean(axis=0).round().astype(np.uint8)
    top, left = (side - size[1]) // 2, (side - size[0]) // 2
    square[top : top + size[1], left : left + size[0]] = small
    return square


def _reason(problem: Exception) -> str:
    if isinstance(problem, UnidentifiedImageError):  # its own message names a memory address
        return "its header cannot be read"
    return str(problem).splitlines()[0][:120].rstrip(".") if str(problem) else type(problem).__name__
