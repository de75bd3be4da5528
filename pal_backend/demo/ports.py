"""Which ports are taken: asked before anything starts, so that one sentence says what to change."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass

from pal_backend.errors import ConflictError, InputError

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Port:
    """A port the demo wants, and the ways to choose another."""

    number: int
    owner: str
    option: str
    variable: str


def check_ports(ports: Iterable[Port]) -> None:
    """See that every port can be listened on.

    Raises:
        InputError: two of them are the same.
        ConflictError: some are taken; names each with the option that changes it.
    """
    wanted = list(ports)
    numbers = [port.number for port in wanted]
    if len(set(numbers)) < len(numbers):
        raise InputError(
            f"{', '.join(p.option for p in wanted)} need different ports, found {', '.join(map(str, numbers))}"
        )
    taken = [port for port in wanted if not is_free(port.number)]
    if taken:
        which = ", ".join(
            f"{p.number} (for {p.owner}; another: {p.option} N, or {p.variable}=N with make)" for p in taken
        )
        raise ConflictError(f"{'these ports are' if len(taken) > 1 else 'this port is'} taken on {HOST}: {which}")


def is_free(number: int) -> bool:
    """Whether a server could listen on 127.0.0.1:number now.

    Binds as servers do, with SO_REUSEADDR: connections of a server that has just ended do not count. A server on all
    addresses would still let us bind, so a connection is tried too.
    """
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, number))
        except OSError:
            return False
    with socket.socket() as caller:
        caller.settimeout(1)
        return caller.connect_ex((HOST, number)) != 0
