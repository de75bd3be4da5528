"""Typed reads from JSON that others sent. Each names where it looked, and raises InputError for anything unexpected."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pal_backend.errors import InputError

LARGEST_WHOLE = 2**53 - 1
"""Whole numbers up to here survive every JSON reader; in microseconds since 1970 it is the year 2255."""
MAX_ITEMS = 100_000
MAX_CHARACTERS = 1_000
_SHORT = 40


def decode(body: bytes) -> Any:
    """Parse JSON as the standard has it: no NaN, no endless nesting, no number of thousands of digits."""
    try:
        return json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise InputError("the body is not JSON; expected one JSON object in UTF-8") from None


def mapping(value: Any, where: str) -> Mapping[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise _wrong(value, where, "an object")
    return value


def items(value: Any, where: str, most: int = MAX_ITEMS) -> list[Any]:
    """A list of at most ``most`` items."""
    if not isinstance(value, list):
        raise _wrong(value, where, "a list")
    if len(value) > most:
        raise InputError(f"{where} has {len(value)} items; at most {most} are read; send fewer")
    return value


def whole(value: Any, where: str, low: int = 0) -> int:
    """A whole number from ``low`` to 2^53 - 1."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= LARGEST_WHOLE:
        raise _wrong(value, where, f"a whole number from {low}")
    return value


def number(value: Any, where: str, low: float, high: float) -> float:
    """A finite number from ``low`` to ``high``."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not low <= value <= high:
        raise _wrong(value, where, f"a number from {low:g} to {high:g}")
    return float(value)


def text(value: Any, where: str, most: int = MAX_CHARACTERS) -> str:
    """A string of at most ``most`` characters that UTF-8 can write."""
    if not isinstance(value, str):
        raise _wrong(value, where, "a string")
    if len(value) > most:
        raise InputError(f"{where} has {len(value)} characters; at most {most} are read; send less")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InputError(f"{where} holds half of a surrogate pair; expected text that UTF-8 can write") from None
    return value


def flag(value: Any, where: str) -> bool:
    """True or false; null counts as false."""
    if value is not None and not isinstance(value, bool):
        raise _wrong(value, where, "true or false")
    return bool(value)


def microseconds(value: Any, where: str) -> int:
    """An ISO 8601 time as microseconds since the epoch; without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(text(value, where))
    except ValueError:
        raise _wrong(value, where, "a time such as 2026-01-31T12:00:00.000001Z") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return whole((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds, where)


def first(*values: Any) -> Any:
    """The first value that is not null."""
    return next((value for value in values if value is not None), None)


def _wrong(value: Any, where: str, expected: str) -> InputError:
    shown = f" ({value!a:.{_SHORT}})" if isinstance(value, (int, float, bool)) and not _endless(value) else ""
    return InputError(f"{where} is a {type(value).__name__}{shown}; expected {expected}")


def _endless(value: float) -> bool:
    # A number of thousands of digits cannot even be printed.
    return isinstance(value, int) and value.bit_length() > 64


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def finite(value: float, default: float) -> float:
    """``value`` clipped to 0..1, or ``default`` where it is not a number."""
    return min(1.0, max(0.0, value)) if math.isfinite(value) else default
