"""Bytes of image files to small arrays."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pal_backend.errors import InputError
from pal_backend.images import decode, is_grey, resize


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """An image as the bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def left_red_right_blue(width: int = 40, height: int = 20) -> Image.Image:
    """Two halves of different colour."""
    image = Image.new("RGB", (width, height), "blue")
    image.paste("red", (0, 0, width // 2, height))
    return image


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header speaks of so many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF"])
def test_every_accepted_format_gives_the_picture(kind: str) -> None:
    """All five formats give a square uint8 array with red on the left and blue on the right, and the true size."""
    pixels, width, height = decode(encoded(left_red_right_blue(), kind), 16)
    assert (pixels.shape, pixels.dtype, width, height) == ((16, 16, 3), np.uint8, 40, 20)
    assert pixels[8, 3, 0] > 200 > 60 > pixels[8, 3, 2]
    assert pixels[8, 12, 2] > 200 > 60 > pixels[8, 12, 0]


@pytest.mark.parametrize(
    ("mode", "colour"),
    [("1", 1), ("L", 200), ("LA", (200, 255)), ("P", 3), ("RGBA", (9, 9, 9, 255)), ("I;16", 51_400)],
)
def test_every_mode_of_png_is_read(mode: str, colour: Any) -> None:
    """Bilevel, grey, palette, transparent and 16-bit images come out as 8-bit RGB."""
    assert decode(encoded(Image.new(mode, (9, 9), colour)), 8).pixels.shape == (8, 8, 3)


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    """A mid grey of 16 bits is a mid grey of 8 bits."""
    image = Image.fromarray(np.full((8, 8), 128 * 256, np.uint16))
    assert set(decode(encoded(image), 8).pixels.ravel().tolist()) == {128}


def test_transparent_parts_become_white() -> None:
    """What lies under full transparency is not shown."""
    assert decode(encoded(Image.new("RGBA", (8, 8), (10, 20, 30, 0))), 8).pixels.min() == 255


def test_a_cmyk_jpeg_is_read() -> None:
    """Print colours come out as RGB."""
    assert decode(encoded(Image.new("CMYK", (16, 16), (0, 0, 0, 0)), "JPEG"), 8).pixels.mean() > 250


def test_only_the_first_frame_of_a_gif_counts() -> None:
    """An animation is its first picture."""
    first, second = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    data = encoded(first, "GIF", save_all=True, append_images=[second])
    assert decode(data, 8).pixels[0, 0].tolist() == [255, 0, 0]


def test_exif_orientation_turns_the_image_upright() -> None:
    """A photograph stored on its side is turned, and its width and height are those a person sees."""
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels, width, height = decode(encoded(left_red_right_blue(), "JPEG", exif=exif, quality=95), 16)
    assert (width, height) == (20, 40)
    assert pixels[3, 8, 0] > 200
    assert pixels[12, 8, 2] > 200


def test_the_shape_is_kept_and_the_rest_takes_the_colour_of_the_edge() -> None:
    """A wide image on a plain ground is not stretched, and no seam shows where the square goes on."""
    image = Image.new("RGB", (80, 40), (10, 200, 30))
    image.paste("white", (30, 10, 50, 30))
    pixels = decode(encoded(image), 40).pixels
    assert pixels[0, 0].tolist() == [10, 200, 30]
    white = (pixels.min(axis=2) > 128).nonzero()
    assert np.ptp(white[0]) == np.ptp(white[1])


def test_an_extreme_shape_still_gives_a_square() -> None:
    """A line of one pixel's height is an image too."""
    assert decode(encoded(Image.new("RGB", (3000, 1))), 16).pixels.shape == (16, 16, 3)


def test_making_it_smaller_is_antialiased() -> None:
    """A fine checkerboard becomes grey instead of picking single pixels."""
    board = (np.indices((256, 256)).sum(axis=0) % 2 * 255).astype(np.uint8)
    pixels = decode(encoded(Image.fromarray(board)), 16).pixels
    assert 110 < pixels.min() <= pixels.max() < 145


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not an image of a known type"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image of a known type"),
        (encoded(Image.new("RGB", (8, 8)), "TIFF"), "not an image of a known type"),
        (encoded(left_red_right_blue())[:60], "damaged PNG"),
        (encoded(left_red_right_blue(), "JPEG")[:300], "damaged JPEG"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 100, "damaged PNG"),
        (b"\xff\xd8\xff" + b"\0" * 100, "damaged JPEG"),
        (b"GIF89a" + b"\xff" * 40, "GIF"),
        (b"RIFF\x10\0\0\0WEBPVP8 " + b"\0" * 40, "damaged WEBP"),
        (png_that_claims(30_000, 30_000), "million"),
        (png_that_claims(8_000, 8_000), "8000 x 8000 pixels; 50 million are allowed"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(data: bytes, words: str) -> None:
    """Other types, damaged, cut short and oversized files each give one sentence."""
    with pytest.raises(InputError, match=words):
        decode(data, 16)


def test_a_file_above_the_limit_is_not_decoded() -> None:
    """The size of the file is checked first."""
    with pytest.raises(InputError, match=r"an image may have 0\.001 MB"):
        decode(b"\x89PNG\r\n\x1a\n" + b"\0" * 2000, 16, max_bytes=1000)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["PNG", "JPEG", "WEBP", "BMP", "GIF"]),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=12),
    st.integers(0, 10_000),
)
def test_any_damage_gives_an_image_or_an_input_error(kind: str, changes: list[tuple[int, int]], cut: int) -> None:
    """Whatever bytes are changed or cut off, nothing but an InputError comes out."""
    data = bytearray(encoded(left_red_right_blue(), kind))
    for place, value in changes:
        data[place % len(data)] = value
    try:
        pixels = decode(bytes(data[: max(20, cut)]), 8).pixels
    except InputError as problem:
        assert "0x" not in str(problem)
    else:
        assert pixels.shape == (8, 8, 3)


@pytest.mark.parametrize(("image", "grey"), [(Image.new("L", (8, 8), 77), True), (left_red_right_blue(), False)])
def test_grey_is_told_from_colour(image: Image.Image, grey: bool) -> None:
    """Equal channels are grey, whatever the file's mode."""
    assert is_grey(decode(encoded(image, "JPEG"), 8).pixels) is grey


def test_no_pixels_are_grey() -> None:
    """An empty stack has no colour."""
    assert is_grey(np.empty((0, 8, 8, 3), np.uint8))


def test_a_square_is_resized() -> None:
    """Small images come in another size without their file."""
    assert resize(np.full((8, 8, 3), 9, np.uint8), 16).tolist() == np.full((16, 16, 3), 9).tolist()
