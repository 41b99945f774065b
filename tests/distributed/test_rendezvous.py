"""Ranks without MPI meet at a socket: what they exchange, who is kept out, and how the end of a rank is told."""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rustorch.distributed import rendezvous, rendezvous_server
from rustorch.distributed import rendezvous_wire as wire
from rustorch.distributed.rendezvous import Launch, Rendezvous, launched, read
from rustorch.distributed.rendezvous_exchange import RendezvousExchange, start

TOKEN = b"0123456789abcdef0123"
VARIABLES = {
    "RANK": "1", "WORLD_SIZE": "3", "MASTER_ADDR": "node7", "MASTER_PORT": "29500", "RUSTORCH_TOKEN": TOKEN.decode(),
}  # fmt: skip


@pytest.fixture
def port() -> int:
    """A port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    yield
    until = time.monotonic() + 5
    while any(thread.name == "rustorch rendezvous" for thread in threading.enumerate()):
        assert time.monotonic() < until, "the thread of a server is left"
        time.sleep(0.01)


def at_once(*functions: Callable[[], Any]) -> list[Any]:
    """The result of each function, or its error. Each runs in a thread of its own."""
    results: list[Any] = [None] * len(functions)

    def run(i: int) -> None:
        try:
            results[i] = functions[i]()
        except Exception as error:
            results[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive(), "a rank hangs"
    return results


def launch(rank: int, size: int, port: int, token: bytes = TOKEN) -> Launch:
    return Launch(rank, size, "127.0.0.1", port, token)


@contextlib.contextmanager
def met(size: int, port: int) -> Iterator[list[Rendezvous]]:
    """The connections of all ranks."""
    ranks = at_once(*[lambda rank=rank: Rendezvous(launch(rank, size, port), 10) for rank in range(size)])
    try:
        yield ranks
    finally:
        for rank in reversed(ranks):
            rank.close()


def test_a_group_can_start_again_at_its_port_before_rank_0_has_left(port: int) -> None:
    def run(rank: int) -> list[list[bytes]]:
        found = []
        for _ in range(3):
            one = Rendezvous(launch(rank, 2, port), 10)
            found.append(one.meet("key", [0, 1], str(rank).encode(), 10))
            time.sleep(0.3 if rank == 0 else 0)
            one.close()
        return found

    assert at_once(lambda: run(0), lambda: run(1)) == [[[b"0", b"1"]] * 3] * 2


# -- what the launcher says --------------------------------------------------------------------------------------------
def test_the_variables_of_torchrun_are_read() -> None:
    assert read(VARIABLES) == Launch(1, 3, "node7", 29500, TOKEN)
    assert read({"RANK": "0", "WORLD_SIZE": "1"}) == Launch(0, 1, "", 0, b"")
    assert launched(VARIABLES)
    assert not launched({"RANK": "1"})


@pytest.mark.parametrize(("port", "expected"), [("29500", 29501), ("65535", 65534)])
def test_the_port_where_torchrun_itself_listens_is_left_to_it(port: str, expected: int) -> None:
    found = read({**VARIABLES, "MASTER_PORT": port, "TORCHELASTIC_USE_AGENT_STORE": "True"})
    assert found.port == expected
    assert read({**VARIABLES, "MASTER_PORT": port, "TORCHELASTIC_USE_AGENT_STORE": "False"}).port == int(port)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("WORLD_SIZE", None, "the environment variable WORLD_SIZE is missing"),
        ("WORLD_SIZE", "0", "WORLD_SIZE must be an integer from 1 to 1048576, not '0'"),
        ("WORLD_SIZE", "two", "WORLD_SIZE must be an integer from 1 to 1048576, not 'two'"),
        ("WORLD_SIZE", "\u0663", "WORLD_SIZE must be an integer from 1 to"),
        ("RANK", None, "the environment variable RANK is missing"),
        ("RANK", "3", "RANK must be an integer from 0 to 2, not '3'"),
        ("RANK", "-1", "RANK must be an integer from 0 to 2, not '-1'"),
        ("MASTER_ADDR", None, "MASTER_ADDR is missing: the name or address of the machine of rank 0"),
        ("MASTER_PORT", None, "the environment variable MASTER_PORT is missing"),
        ("MASTER_PORT", "70000", "MASTER_PORT must be an integer from 1 to 65535, not '70000'"),
        ("RUSTORCH_TOKEN", None, r"RUSTORCH_TOKEN is missing\. .* export RUSTORCH_TOKEN="),
        ("RUSTORCH_TOKEN", "secret", "RUSTORCH_TOKEN has 6 characters, and needs at least 16"),
    ],
)
def test_missing_and_wrong_variables_are_named(name: str, value: str | None, message: str) -> None:
    variables = {key: text for key, text in VARIABLES.items() if key != name}
    with pytest.raises(ValueError, match=message):
        read(variables if value is None else {**variables, name: value})


def test_an_error_does_not_show_the_token() -> None:
    with pytest.raises(ValueError) as caught:
        read({**VARIABLES, "RUSTORCH_TOKEN": "my secret"})
    assert "my secret" not in str(caught.value)


# -- meetings ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", [2, 4])
def test_every_rank_gets_what_each_member_brings(size: int, port: int) -> None:
    with met(size, port) as ranks:
        values = [b"", b"one" * 100_000, b"\n\0", b"three"][:size]
        everyone = range(size)
        for key in ("a", "b"):
            results = at_once(*[lambda r=r, key=key: ranks[r].meet(key, everyone, values[r], 10) for r in everyone])
            assert results == [values] * size
        some = [size - 1, 0]
        results = at_once(*[lambda r=r: ranks[r].meet("some", some, bytes([r]), 10) for r in some])
        assert results == [[bytes([size - 1]), b"\0"]] * 2


def test_rank_0_may_come_last(port: int) -> None:
    def late() -> Rendezvous:
        time.sleep(0.3)
        return Rendezvous(launch(0, 2, port), 10)

    first, second = at_once(late, lambda: Rendezvous(launch(1, 2, port), 10))
    assert at_once(lambda: first.meet("x", [0, 1]), lambda: second.meet("x", [0, 1])) == [[b"", b""]] * 2
    second.close()
    first.close()


def test_missing_ranks_are_named_to_all_that_wait(port: int) -> None:
    with met(4, port) as ranks:
        start = time.monotonic()
        results = at_once(*[lambda r=r: ranks[r].meet("step", range(4), b"", 0.4 + 5 * r) for r in (0, 1)])
        for result in results:
            assert isinstance(result, TimeoutError)
            assert str(result) == "after 0.4 s, ranks 2, 3 had not come to 'step', where rank 0 waited"
        assert time.monotonic() - start < 3
        with pytest.raises(TimeoutError, match=r"after 0\.4 s, ranks 2, 3"):  # a late one does not wait
            ranks[2].meet("step", range(4), b"", 20)
        assert at_once(*[lambda r=r: ranks[r].meet("next", range(4)) for r in range(4)]) == [[b""] * 4] * 4


def test_the_end_of_a_rank_is_told_at_once(port: int) -> None:
    with met(3, port) as ranks:

        def end() -> None:
            time.sleep(0.2)
            ranks[1]._socket.close()  # as a process that is killed

        start = time.monotonic()
        waiting, _ = at_once(lambda: ranks[0].meet("x", range(3), b"", 60), end)
        assert isinstance(waiting, RuntimeError)
        assert str(waiting) == "rank 1 has ended, and does not come to 'x' any more"
        with pytest.raises(RuntimeError, match="rank 1 has ended, and does not come to 'y' any more"):
            ranks[2].meet("y", [1, 2], b"", 60)
        assert time.monotonic() - start < 5
        assert at_once(*[lambda r=r: ranks[r].meet("z", [0, 2]) for r in (0, 2)]) == [[b"", b""]] * 2


def test_the_end_of_rank_0_is_told(port: int) -> None:
    first, second = at_once(*[lambda r=r: Rendezvous(launch(r, 2, port), 10) for r in (0, 1)])
    first.close(timeout=0.1)
    with pytest.raises(RuntimeError, match=r"rank 1 has lost rank 0 at 127\.0\.0\.1:\d+, which has ended"):
        second.meet("x", [0, 1])
    second.close()


def test_members_that_do_not_agree_are_told(port: int) -> None:
    with met(2, port) as ranks:
        results = at_once(lambda: ranks[0].meet("x", [0, 1], b"", 9), lambda: ranks[1].meet("x", [1, 0], b"", 9))
        for result in results:
            assert isinstance(result, RuntimeError)
            assert str(result) in (
                "rank 0 meets ranks [0, 1] at 'x', but others meet [1, 0] there",
                "rank 1 meets ranks [1, 0] at 'x', but others meet [0, 1] there",
            )
        with pytest.raises(RuntimeError, match="asks for a meeting that cannot be"):
            ranks[0].meet("x", [0, 7])
        with pytest.raises(RuntimeError, match="asks for a meeting that cannot be"):
            ranks[0].meet("y" * 2000, [0, 1])
        assert at_once(*[lambda r=r: ranks[r].meet("next", [0, 1]) for r in (0, 1)]) == [[b"", b""]] * 2


def test_long_values_are_refused(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "LIMIT", 1000)
    with met(2, port) as ranks:
        with pytest.raises(ValueError, match="at most 1000 bytes pass between ranks at once, not 1001"):
            ranks[0].meet("x", [0, 1], bytes(1001))
        for result in at_once(*[lambda r=r: ranks[r].meet("y", [0, 1], bytes(600)) for r in (0, 1)]):
            assert isinstance(result, RuntimeError)
            assert str(result) == "the values of 'y' have 1200 bytes, and at most 1000 are allowed"
        assert at_once(*[lambda r=r: ranks[r].meet("next", [0, 1]) for r in (0, 1)]) == [[b"", b""]] * 2


def test_messages_wait_for_the_rank_that_they_are_for(port: int) -> None:
    with met(3, port) as ranks:
        first, second, third = at_once(
            *[lambda r=r: Rendezvous(launch(r, 3, port), 10, control=True) for r in range(3)]
        )
        assert first.mail() == []
        assert first.mail(1, {"ask": 7}) == []
        assert third.mail(1, {"ask": 8}) == []
        assert first.mail(0, {"to": "itself"}) == [{"from": 0, "message": {"to": "itself"}}]
        assert second.mail() == [{"from": 0, "message": {"ask": 7}}, {"from": 2, "message": {"ask": 8}}]
        assert second.mail() == []
        with pytest.raises(RuntimeError, match="there is no rank 3 to send a message to"):
            second.mail(3, {})
        third.close()
        until, found = time.monotonic() + 5, []
        while not found:
            assert time.monotonic() < until
            found = second.mail()
        assert found == [{"from": 2, "message": {"ended": True}}]
        first.say_goodbye()
        first.close()
        assert at_once(*[lambda r=r: ranks[r].meet("x", range(3)) for r in range(3)]) == [[b""] * 3] * 3
        assert second.mail() == []
        second.close()


def test_mail_of_a_rank_has_a_limit(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendezvous_server, "MAIL", 3)
    with met(2, port):
        control = Rendezvous(launch(0, 2, port), 10, control=True)
        for i in range(5):
            control.mail(1, {"i": i})
        other = Rendezvous(launch(1, 2, port), 10, control=True)
        assert [letter["message"] for letter in other.mail()] == [{"i": 0}, {"i": 1}, {"i": 2}]
        control.close()
        other.close()


# -- who is kept out ---------------------------------------------------------------------------------------------------
def raw(port: int) -> tuple[socket.socket, bytes]:
    """A connection that shows nothing yet, and rank 0's first message."""
    connection = socket.create_connection(("127.0.0.1", port), 5)
    hello = connection.recv(wire.HELLO)
    assert len(hello) == wire.HELLO
    return connection, hello


def claim(hello: bytes, rank: int = 1, size: int = 2, token: bytes = TOKEN) -> bytes:
    return wire.claim(token, hello, secrets.token_bytes(wire.NONCE), rank, size)


def ended(connection: socket.socket) -> bytes:
    """What still comes before the other side closes the connection."""
    found = b""
    with contextlib.closing(connection), contextlib.suppress(ConnectionError):
        while part := connection.recv(4096):
            found += part
    return found


@pytest.fixture
def first(port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rendezvous]:
    """Rank 0 of two, which waits for rank 1. It is patient for 0.5 s with a connection that shows no token."""
    original = rendezvous_server.Server.__init__
    monkeypatch.setattr(rendezvous_server.Server, "__init__", lambda self, *args: original(self, *args, patience=0.5))
    rank = Rendezvous(launch(0, 2, port), 10)
    try:
        yield rank
        # whatever happened, rank 1 comes in, and both meet
        second = Rendezvous(launch(1, 2, port), 10)
        assert at_once(lambda: rank.meet("x", [0, 1]), lambda: second.meet("x", [0, 1])) == [[b"", b""]] * 2
        second.close()
    finally:
        rank.close()


GARBAGE = {
    "nothing": b"",
    "one byte": b"x",
    "HTTP": b"GET / HTTP/1.1\r\nHost: node7\r\n\r\n" * 10,
    "zeros": bytes(wire.CLAIM),
    "a megabyte": b"\xff" * (1 << 20),
    "the right beginning": wire.MAGIC + bytes(wire.CLAIM - len(wire.MAGIC)),
}


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE)
def test_garbage_disturbs_nobody(data: bytes, first: Rendezvous, port: int) -> None:
    connection, _ = raw(port)
    with contextlib.suppress(ConnectionError):
        connection.sendall(data)
    began = time.monotonic()
    assert ended(connection) in (b"", wire.REFUSED + bytes(wire.PROOF))
    assert time.monotonic() - began < 3


def test_a_connection_that_sends_slowly_is_closed(first: Rendezvous, port: int) -> None:
    connection, hello = raw(port)
    message = claim(hello)
    began = time.monotonic()
    with contextlib.suppress(ConnectionError):
        for byte in message:
            connection.sendall(bytes([byte]))
            time.sleep(0.05)
            if time.monotonic() - began > 3:
                pytest.fail("a slow connection is not closed")
    assert ended(connection) == b""


def test_a_wrong_token_is_refused_on_its_own_side_alone(first: Rendezvous, port: int) -> None:
    with pytest.raises(RuntimeError, match=r"rank 1 and rank 0 at 127\.0\.0\.1:\d+ have different tokens") as caught:
        Rendezvous(launch(1, 2, port, TOKEN + b"!"), 10)
    assert "export RUSTORCH_TOKEN=" in str(caught.value)
    assert TOKEN.decode() not in str(caught.value)


def test_a_claim_is_worth_nothing_in_another_connection(first: Rendezvous, port: int) -> None:
    _, hello = one = raw(port)
    other, _ = raw(port)
    other.sendall(claim(hello))
    assert ended(other) == wire.REFUSED + bytes(wire.PROOF)
    one[0].close()


@pytest.mark.parametrize(
    ("rank", "size", "message"),
    [
        (0, 2, "there is another process with RANK=0; each process needs a RANK of its own"),
        (1, 3, "rank 1 was started with WORLD_SIZE=3, but rank 0 with WORLD_SIZE=2"),
        (2, 2, "RANK=2 is not below WORLD_SIZE=2"),
    ],
)
def test_a_process_without_a_place_is_told_why(
    rank: int, size: int, message: str, first: Rendezvous, port: int
) -> None:
    place = launch(rank, size, port)
    connection = object.__new__(Rendezvous)
    connection.rank, connection.size, connection._launch, connection._number = rank, size, place, rank
    with pytest.raises(RuntimeError, match=f"rank 0 at .* refuses this process: {message}"):
        connection._connect(time.monotonic() + 5, 5)


def test_a_rank_that_sends_garbage_after_the_handshake_is_the_only_one_to_leave(port: int) -> None:
    with met(3, port) as ranks:
        header = wire._HEADER.pack(20, bytes(wire.PROOF))
        ranks[1]._socket.sendall(header + b"{}\nno signature of..")
        with pytest.raises(RuntimeError, match="rank 1 has lost rank 0"):
            ranks[1].meet("x", [1])
        assert at_once(*[lambda r=r: ranks[r].meet("y", [0, 2]) for r in (0, 2)]) == [[b"", b""]] * 2


def test_a_message_that_announces_too_much_is_not_read(port: int) -> None:
    with met(2, port) as ranks:
        ranks[1]._socket.sendall(wire._HEADER.pack(1 << 60, bytes(wire.PROOF)))
        with pytest.raises(RuntimeError, match="rank 1 has lost rank 0"):
            ranks[1].meet("x", [1])


def test_a_message_cannot_be_sent_again(port: int) -> None:
    with met(2, port) as ranks:
        signer = ranks[1]._signer
        message = signer.pack(b"to 0", {"key": "x", "members": [1], "timeout": 5})
        ranks[1]._socket.sendall(message)
        assert ranks[1]._read(ranks[1]._socket, signer)[0] == {"sizes": [0]}
        ranks[1]._socket.sendall(message)
        with pytest.raises((EOFError, ConnectionError)):
            ranks[1]._read(ranks[1]._socket, signer)


def test_many_strangers_do_not_keep_a_rank_out(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendezvous_server, "STRANGERS", 8)
    first: Any = Rendezvous(launch(0, 2, port), 10)
    server = first._server
    server._patience = 60
    strangers = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(30)]
    second = Rendezvous(launch(1, 2, port), 10)
    assert at_once(lambda: first.meet("x", [0, 1]), lambda: second.meet("x", [0, 1])) == [[b"", b""]] * 2
    assert len(server._strangers) <= 8
    for stranger in strangers:
        stranger.close()
    second.close()
    first.close()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(200)])
def test_another_program_at_the_port_is_named(answer: bytes, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", port)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(answer)
                time.sleep(0.4)

        connect = lambda: Rendezvous(launch(1, 2, port), 0.3 if not answer else 5)  # noqa: E731
        _, result = at_once(serve, connect)
    assert isinstance(result, RuntimeError)
    assert "another program listens, not rank 0 of rustorch" in str(result)


def test_a_port_in_use_is_named(port: int) -> None:
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(RuntimeError, match=rf"rank 0 cannot listen at 127.0.0.1:{port}: .*; set MASTER_PORT to a free"),
    ):
        Rendezvous(launch(0, 2, port), 5)


@pytest.mark.parametrize(
    ("host", "found", "everywhere"),
    [
        ("127.0.0.1", "127.0.0.1", False),
        ("localhost", "127.0.0.1", False),
        ("node7", "127.0.0.1", True),  # in /etc/hosts, for this machine alone
        ("service", "192.0.2.1", True),  # the address is not one of this machine
        ("unknown", None, True),
    ],
)
def test_rank_0_listens_where_others_can_reach_it(
    host: str, found: str | None, everywhere: bool, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = socket.getaddrinfo

    def resolve(name: str, *args: Any, **options: Any) -> Any:
        if name == host and found is None:
            raise socket.gaierror(-2, "Name or service not known")
        return original(found if name == host else name, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with rendezvous._listen(launch(0, 2, port)._replace(host=host)) as listener:
        assert (listener.getsockname()[0] in ("::", "0.0.0.0")) == everywhere
    first = Rendezvous(launch(0, 2, port)._replace(host=host), 5)
    second = Rendezvous(launch(1, 2, port), 5)
    assert at_once(lambda: first.meet("x", [0, 1]), lambda: second.meet("x", [0, 1])) == [[b"", b""]] * 2
    second.close()
    first.close()


def test_a_rank_0_that_never_comes_is_named(port: int) -> None:
    with pytest.raises(TimeoutError, match=rf"rank 1 did not find rank 0 at 127.0.0.1:{port} within 0.3 s \(.*refused"):
        Rendezvous(launch(1, 2, port), 0.3)


# -- the exchange ------------------------------------------------------------------------------------------------------
def exchanges(size: int, port: int) -> list[RendezvousExchange]:
    variables = {**VARIABLES, "MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "WORLD_SIZE": str(size)}
    return at_once(*[lambda r=r: start(10, {**variables, "RANK": str(r)}) for r in range(size)])


def test_a_group_exchanges_bytes(port: int) -> None:
    everyone = exchanges(3, port)
    ranks = range(3)
    assert [(e.rank, e.size, e.name) for e in everyone] == [(0, 3, "nccl"), (1, 3, "nccl"), (2, 3, "nccl")]
    assert at_once(*[lambda e=e: e.gather_bytes(bytes([e.rank])) for e in everyone]) == [[b"\0", b"\1", b"\2"]] * 3
    assert at_once(*[lambda e=e: e.broadcast_bytes(b"from %d" % e.rank, 2) for e in everyone]) == [b"from 2"] * 3
    assert [request.done() for request in at_once(*[e.barrier for e in everyone])] == [True] * 3
    assert at_once(*[lambda e=e: e.agree(5) for e in everyone]) == [True] * 3
    assert at_once(*[lambda e=e: e.agree(e.rank) for e in everyone]) == [False] * 3
    groups = [e.split((2, 0)) for e in everyone]
    assert groups[1] is None
    members = [groups[r] for r in (0, 2)]
    assert [(e.rank, e.size) for e in members if e] == [(1, 2), (0, 2)]
    assert at_once(*[lambda e=e: e.gather_bytes(bytes([e.rank])) for e in members]) == [[b"\0", b"\1"]] * 2
    alone = [everyone[r].split((1,)) for r in ranks][1]
    assert alone is not None
    assert alone.gather_bytes(b"x") == [b"x"]
    for group in [*members, alone, *reversed(everyone)]:
        assert group is not None
        group.close()


def test_a_rank_that_does_not_come_to_the_start_is_named(port: int) -> None:
    variables = {**VARIABLES, "MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "RANK": "0"}
    with pytest.raises(TimeoutError, match=r"after 0\.2 s, rank 1 had not come to 'the start', where rank 0 waited"):
        start(0.2, variables)


def test_a_world_of_one_needs_no_socket() -> None:
    alone = start(10, {"RANK": "0", "WORLD_SIZE": "1"})
    assert alone.gather_bytes(b"x") == [b"x"]
    assert alone.broadcast_bytes(b"x", 0) == b"x"
    alone.close()


def test_arrays_of_the_host_are_refused() -> None:
    import numpy

    alone = start(10, {"RANK": "0", "WORLD_SIZE": "1"})
    x = numpy.ones(2)
    calls: list[Callable[[], object]] = [
        lambda: alone.all_reduce(x, "sum"),
        lambda: alone.reduce(x, 0, "sum"),
        lambda: alone.broadcast(x, 0),
        lambda: alone.all_gather(x, x),
        lambda: alone.gather(x, x, 0),
        lambda: alone.scatter(x, x, 0),
        lambda: alone.reduce_scatter(x, x, "sum"),
        lambda: alone.all_to_all(x, x),
        lambda: alone.send(x, 0, 0),
        lambda: alone.recv(x, 0, 0),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="without MPI, arrays are exchanged by NCCL, and this one is not on a GPU"):
            call()
