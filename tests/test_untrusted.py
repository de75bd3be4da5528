import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pal_backend import untrusted
from pal_backend.errors import InputError

DEEP = b"[" * 200_000 + b"]" * 200_000


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b'{"a": NaN}', b"[Infinity]", b"1" * 10_000, DEEP, b"null null", b"{'a': 1}"]
)
def test_what_is_not_json_is_refused(body: bytes) -> None:
    """Broken bytes, NaN, endless nesting and endless numbers are all "not JSON"."""
    with pytest.raises(InputError, match="is not JSON"):
        untrusted.decode(body)


@given(st.binary(max_size=200))
def test_decoding_raises_nothing_else(body: bytes) -> None:
    """Whatever the bytes, there is a value or an InputError."""
    with contextlib.suppress(InputError):
        untrusted.decode(body)


@pytest.mark.parametrize("value", [True, -1, 2**53, 1.0, "1", None, 10**400])
def test_whole_numbers_are_small_and_no_booleans(value: object) -> None:
    """A whole number is an int from 0 to 2^53 - 1; true, floats and digits in quotes are not."""
    with pytest.raises(InputError, match="a whole number"):
        untrusted.whole(value, "id")


@pytest.mark.parametrize("value", [True, math.nan, math.inf, -0.1, 1.1, "0.5", 10**400])
def test_numbers_are_finite_and_in_range(value: object) -> None:
    """A number is finite and within its limits."""
    with pytest.raises(InputError, match="a number from 0 to 1"):
        untrusted.number(value, "score", 0, 1)


@pytest.mark.parametrize("value", ["\ud800", "x" * 11, 3])
def test_text_is_short_and_can_be_written(value: object) -> None:
    """Text is a string of limited length without half surrogate pairs, which nothing can write out again."""
    with pytest.raises(InputError, match="label"):
        untrusted.text(value, "label", 10)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000),
        ("1970-01-01T00:00:01.000002", 1_000_002),
        ("1970-01-01T01:00:00+01:00", 0),
        ("2026-11-21T21:22:48.108805Z", 1_795_296_168_108_805),
    ],
)
def test_times_become_microseconds(text: str, expected: int) -> None:
    """Times keep their microseconds exactly; those without a zone are UTC."""
    assert untrusted.microseconds(text, "at") == expected


@pytest.mark.parametrize(
    "text", ["yesterday", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+10:00", 5]
)
def test_impossible_times_are_refused(text: object) -> None:
    """What is no time, lies before 1970, or too far ahead, is refused."""
    with pytest.raises(InputError):
        untrusted.microseconds(text, "at")


def test_lists_have_a_limit() -> None:
    """A list that is too long is refused with both numbers."""
    with pytest.raises(InputError, match="has 3 items; at most 2"):
        untrusted.items([1, 2, 3], "ids", 2)
    with pytest.raises(InputError, match="expected a list"):
        untrusted.items({}, "ids")


def test_messages_never_repeat_strings() -> None:
    """An error may name a number, never a text: it could be somebody's secret."""
    with pytest.raises(InputError) as caught:
        untrusted.mapping("hunter2", "the body")
    assert str(caught.value) == "the body is a str; expected an object"
    with pytest.raises(InputError, match=r"is a bool \(True\)"):
        untrusted.whole(True, "id")


def test_flags_and_first() -> None:
    """Null counts as false; the first value that is not null is taken."""
    assert untrusted.flag(None, "skipped") is False
    assert untrusted.first(None, 0, 1) == 0
    with pytest.raises(InputError, match="true or false"):
        untrusted.flag("yes", "skipped")


@pytest.mark.parametrize(("value", "expected"), [(-1.0, 0.0), (0.3, 0.3), (7.5, 1.0), (math.nan, 1.0), (math.inf, 1.0)])
def test_scores_are_clipped(value: float, expected: float) -> None:
    """A score is within 0..1, whatever was computed."""
    assert untrusted.finite(value, 1.0) == expected
