"""Ranks that are threads of this process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from torch import Tensor

from pal_backend.core.learning.ranks import Ranks

Found = TypeVar("Found")


@dataclass
class Meeting:
    """Where they meet to add up."""

    size: int
    given: dict[int, Tensor] = field(default_factory=dict)
    barrier: threading.Barrier = field(init=False)

    def __post_init__(self) -> None:
        self.barrier = threading.Barrier(self.size, timeout=30)


@dataclass(frozen=True)
class Thread:
    """One of them."""

    rank: int
    size: int
    meeting: Meeting

    def total(self, values: Tensor) -> Tensor:
        """Sum in the order of the ranks."""
        self.meeting.given[self.rank] = values
        self.meeting.barrier.wait()
        whole = sum(self.meeting.given[rank] for rank in range(self.size))
        self.meeting.barrier.wait()
        assert isinstance(whole, Tensor)
        return whole


def together(size: int, work: Callable[[Ranks], Found]) -> list[Found]:
    """What ``work`` gives on each rank."""
    meeting = Meeting(size)

    def one(rank: int) -> Found:
        try:
            return work(Thread(rank, size, meeting))
        except BaseException:
            meeting.barrier.abort()
            raise

    with ThreadPoolExecutor(size) as pool:
        working = [pool.submit(one, rank) for rank in range(size)]
    problems = [problem for problem in (work.exception() for work in working) if problem is not None]
    for problem in problems:
        if not isinstance(problem, threading.BrokenBarrierError):
            raise problem
    return [work.result() for work in working]
