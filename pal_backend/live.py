"""Server-sent events: a page hears that something has changed, and fetches itself anew."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable

import anyio
from anyio import to_thread

from pal_backend.errors import PalError

LOOK_SECONDS = 1.0
"""How often a stream looks whether something has changed."""
QUIET_LOOKS = 15
"""After so many looks without news a comment is sent, so that a browser that went away is noticed."""
LONGEST_SECONDS = 900.0
"""Then the browser connects anew, with a cookie that is checked anew."""


def short(stamp: str) -> str:
    """A stamp in 16 hex digits."""
    return hashlib.sha256(stamp.encode()).hexdigest()[:16]


async def changes(
    stamp: Callable[[], str], closing: Callable[[], bool], look_seconds: float = LOOK_SECONDS
) -> AsyncIterator[str]:
    """Events of the form ``data: <stamp>``, the first one at once, then one for each change.

    Args:
        stamp: what changes; called in a thread of its own, since it asks Redis.
        closing: whether the server is about to end.
        look_seconds: how often it is called.
    """
    yield "retry: 2000\n\n"
    last, quiet = "", 0
    for _ in range(int(LONGEST_SECONDS / look_seconds)):
        if closing():
            return
        try:
            now = short(await to_thread.run_sync(stamp))
        except PalError:
            return
        if now != last:
            last, quiet = now, 0
            yield f"data: {now}\n\n"
        else:
            quiet += 1
            if quiet % QUIET_LOOKS == 0:
                yield ": \n\n"
        await anyio.sleep(look_seconds)
