"""Taken ports are found before anything starts."""

import socket
from collections.abc import Iterator

import pytest

from pal_backend.demo.ports import Port, check_ports, is_free
from pal_backend.errors import ConflictError, InputError


@pytest.fixture
def taken() -> Iterator[int]:
    """A port somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_taken_port_is_named_with_its_option(taken: int) -> None:
    """One sentence says which port is taken, for whom it was wanted and how to choose another."""
    with pytest.raises(ConflictError) as caught:
        check_ports([Port(taken, "Label Studio", "--label-studio-port", "LABEL_STUDIO_PORT")])
    assert str(caught.value) == (
        f"this port is taken on 127.0.0.1: {taken} (for Label Studio; another: --label-studio-port N, "
        "or LABEL_STUDIO_PORT=N with make)"
    )


def test_all_taken_ports_are_named_at_once(taken: int) -> None:
    """Nobody has to try port after port."""
    with socket.create_server(("", 0)) as other:
        second = other.getsockname()[1]
        with pytest.raises(ConflictError, match=rf"these ports are taken .*{taken}.*{second}"):
            check_ports(
                [Port(taken, "the web process", "--port", "PORT"), Port(second, "Redis", "--redis-port", "REDIS_PORT")]
            )


def test_the_same_port_twice_is_refused() -> None:
    """Two servers cannot share a port."""
    with pytest.raises(InputError, match="need different ports"):
        check_ports([Port(9090, "web", "--port", "PORT"), Port(9090, "Redis", "--redis-port", "REDIS_PORT")])


def test_a_port_is_free_right_after_its_server_ended() -> None:
    """The demo can be started again at once: connections in TIME_WAIT do not count."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            connection, _ = server.accept()
            connection.close()
    assert is_free(port)


def test_a_server_on_all_addresses_counts(taken: int) -> None:
    """A server on 0.0.0.0 takes 127.0.0.1 too."""
    assert not is_free(taken)
    with socket.create_server(("0.0.0.0", 0)) as server:
        assert not is_free(server.getsockname()[1])
