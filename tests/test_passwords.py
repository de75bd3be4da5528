"""Passwords as they are kept."""

from __future__ import annotations

import pytest

from pal_backend.passwords import LONGEST, hashed, matches, new_password


def test_a_password_matches_its_own_hash_alone() -> None:
    """Two hashes of one password differ, since each has a salt of its own."""
    first, second = hashed("correct horse"), hashed("correct horse")
    assert first != second
    assert matches("correct horse", first) and matches("correct horse", second)
    assert not matches("Correct horse", first)
    assert len({new_password() for _ in range(100)}) == 100


@pytest.mark.parametrize("kept", ["", "closed", "scrypt$1$2", "scrypt$0$8$1$AAAA$AAAA", "md5$1$1$1$AA==$AA==", "$$$$$"])
def test_nothing_matches_what_is_no_hash(kept: str) -> None:
    """An absent or malformed hash opens nothing, not even to an empty password."""
    assert not matches("", kept)
    assert not matches("x", kept)


def test_endless_passwords_are_not_looked_at() -> None:
    """They would cost time; nobody has one."""
    assert not matches("x" * (LONGEST + 1), hashed("x" * (LONGEST + 1)))
