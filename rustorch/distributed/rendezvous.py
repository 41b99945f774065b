"""How processes find each other without MPI: the variables of torchrun, and a socket that only accepts a shared token.

Rank 0 listens at ``MASTER_ADDR:MASTER_PORT``, and every rank connects to it. Short bytes pass there, such as the id by
which NCCL connects the GPUs. Arrays never do.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import itertools
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from . import rendezvous_wire as wire

__all__ = ["Launch", "Rendezvous", "launched", "read"]

TOKEN = "RUSTORCH_TOKEN"
#: The fewest characters of a token: fewer could be guessed.
_SHORTEST = 16
_HOW = (
    f"export {TOKEN}=$(python -c 'import secrets; print(secrets.token_hex(16))') before the launcher is started, with "
    f"the same value on every machine"
)


class Launch(NamedTuple):
    """What a launcher says to a process."""

    rank: int
    size: int
    host: str
    port: int
    token: bytes


def launched(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a launcher such as torchrun has started this process: it sets RANK and WORLD_SIZE."""
    return "RANK" in environment and "WORLD_SIZE" in environment


def _number(environment: Mapping[str, str], name: str, low: int, high: int) -> int:
    text = environment.get(name)
    if text is None:
        raise ValueError(f"the environment variable {name} is missing; the launcher has to set it, as torchrun does")
    if not text.isascii() or not text.isdecimal() or not low <= int(text) <= high:
        raise ValueError(f"the environment variable {name} must be an integer from {low} to {high}, not {text!r}")
    return int(text)


def read(environment: Mapping[str, str] = os.environ) -> Launch:
    """Read what a launcher says in environment variables.

    Parameters
    ----------
    environment : mapping
        It has RANK and WORLD_SIZE, and for more than one rank also MASTER_ADDR, MASTER_PORT and RUSTORCH_TOKEN. The
        token is any secret text; who has it may join the job.

    Returns
    -------
    Launch
        If torchrun itself listens at MASTER_PORT, as it does with TORCHELASTIC_USE_AGENT_STORE=True, the port is the
        next one.

    Raises
    ------
    ValueError
        If a variable is missing or wrong. The message names it.

    Examples
    --------
    >>> launch = read({"RANK": "0", "WORLD_SIZE": "1"})
    >>> launch.rank, launch.size
    (0, 1)
    """
    size = _number(environment, "WORLD_SIZE", 1, 1 << 20)
    rank = _number(environment, "RANK", 0, size - 1)
    if size == 1:
        return Launch(rank, size, "", 0, b"")
    host = environment.get("MASTER_ADDR", "")
    if not host:
        raise ValueError(
            "the environment variable MASTER_ADDR is missing: the name or address of the machine of rank 0, which the "
            "launcher has to set, as torchrun does"
        )
    port = _number(environment, "MASTER_PORT", 1, 65535)
    if environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        port = port + 1 if port < 65535 else port - 1
    token = environment.get(TOKEN, "")
    if len(token) < _SHORTEST:
        problem = f"has {len(token)} characters, and needs at least {_SHORTEST}" if token else "is missing"
        raise ValueError(
            f"the environment variable {TOKEN} {problem}. Processes find each other through a socket, and the token "
            f"keeps others out: {_HOW}"
        )
    return Launch(rank, size, host, port, token.encode())


# -- sockets -----------------------------------------------------------------------------------------------------------
def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(launch: Launch) -> socket.socket:
    """A listener at the address of rank 0.

    It listens on all addresses of this machine where MASTER_ADDR is none of them, such as the address of a service in
    front of a container, or where only this machine takes its name for the loopback address, as Debian does.
    """
    try:
        found = socket.getaddrinfo(launch.host, launch.port, type=socket.SOCK_STREAM)
        family, _, _, _, address = found[0]
        if not _is_loopback(str(address[0])) or _is_loopback(launch.host):
            return socket.create_server(address[:2], family=family, backlog=512)
    except OSError as error:
        if error.errno != errno.EADDRNOTAVAIL and not isinstance(error, socket.gaierror):
            raise _cannot_listen(launch, error) from error
    try:
        if socket.has_dualstack_ipv6():
            return socket.create_server(("", launch.port), family=socket.AF_INET6, backlog=512, dualstack_ipv6=True)
        return socket.create_server(("", launch.port), backlog=512)
    except OSError as error:
        raise _cannot_listen(launch, error) from error


def _cannot_listen(launch: Launch, error: OSError) -> RuntimeError:
    return RuntimeError(
        f"rank 0 cannot listen at {launch.host}:{launch.port}: {error.strerror}; set MASTER_PORT to a free port, on "
        f"every rank"
    )


def _own_address(listener: socket.socket) -> str:
    """The host at which this process itself reaches its listener."""
    host = str(listener.getsockname()[0])
    return "127.0.0.1" if host in ("::", "0.0.0.0") else host


def _receive(connection: socket.socket, count: int) -> bytes:
    """Exactly so many bytes.

    Raises
    ------
    EOFError
        If the other side closes the connection before.
    """
    parts = []
    while count:
        part = connection.recv(min(count, 1 << 20))
        if not part:
            raise EOFError("the connection was closed")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


#: Where this process has been a rank and left: it may start another group there.
_left: set[str] = set()


class Rendezvous:
    """This rank's connection to rank 0.

    Parameters
    ----------
    launch : Launch
    timeout : float
        The seconds in which rank 0 has to be found.
    control : bool
        Whether this is the second connection of the rank, for `mail`.

    Raises
    ------
    TimeoutError
        If rank 0 is not found in time.
    RuntimeError
        If rank 0 cannot listen; if it has another token, another number of ranks, or this rank already; or if another
        program listens there. Nothing is changed for the other ranks.
    """

    def __init__(self, launch: Launch, timeout: float = 600.0, control: bool = False):
        self.rank, self.size = launch.rank, launch.size
        self._number = launch.rank | wire.CONTROL if control else launch.rank
        self._launch = launch
        self._lock = threading.Lock()
        self._server = None
        if launch.rank == 0 and not control:
            from .rendezvous_server import Server

            listener = _listen(launch)
            self._launch = launch._replace(host=_own_address(listener))
            self._server = Server(listener, launch.size, launch.token)
        try:
            self._socket, self._signer = self._connect(time.monotonic() + timeout, timeout)
        except BaseException:
            if self._server is not None:
                self._server.close(0)
            raise

    @property
    def _place(self) -> str:
        return f"{self._launch.host}:{self._launch.port}"

    def _connect(self, deadline: float, timeout: float) -> tuple[socket.socket, wire.Signer]:
        pause, reason = 0.02, ""
        while (left := deadline - time.monotonic()) > 0:
            connection = None
            try:
                connection = socket.create_connection((self._launch.host, self._launch.port), min(left, 10))
                connection.settimeout(min(left, 10))
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return connection, self._introduce(connection)
            except (OSError, EOFError) as error:  # it has not begun to listen, or is busy
                reason = str(error)
            except BaseException:
                if connection is not None:
                    connection.close()
                raise
            if connection is not None:
                connection.close()
            time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
            pause = min(pause * 1.5, 0.5)
        raise TimeoutError(
            f"rank {self.rank} did not find rank 0 at {self._place} within {timeout:g} s ({reason or 'no answer'}); is "
            f"rank 0 running, is MASTER_ADDR its machine, and does a firewall allow MASTER_PORT?"
        )

    def _introduce(self, connection: socket.socket) -> wire.Signer:
        """Show the token, and check that the other side has it, too."""
        launch = self._launch
        try:
            hello = _receive(connection, wire.HELLO)
        except TimeoutError:
            hello = b""
        if not hello.startswith(wire.MAGIC):
            raise RuntimeError(
                f"at {self._place} another program listens, not rank 0 of rustorch ({hello[:24]!r}); set MASTER_PORT "
                f"to a free port, on every rank"
            )
        nonce = secrets.token_bytes(wire.NONCE)
        connection.sendall(wire.claim(launch.token, hello, nonce, self._number, launch.size))
        verdict = _receive(connection, wire.VERDICT)
        expected = wire.proof(launch.token, b"verdict", hello, nonce, self._number, launch.size)
        if verdict[:1] != wire.ACCEPTED or not secrets.compare_digest(verdict[1:], expected):
            raise RuntimeError(
                f"rank {self.rank} and rank 0 at {self._place} have different tokens, so that rank 0 does not let it "
                f"in: {_HOW}"
            )
        signer = wire.Signer(launch.token, hello, nonce, self._number, launch.size)
        welcome, _ = self._read(connection, signer)
        if welcome.get("taken") and self._place in _left:  # rank 0 has not closed the earlier group yet: try again
            raise EOFError(str(welcome["error"]))
        if "error" in welcome:
            raise RuntimeError(f"rank 0 at {self._place} refuses this process: {welcome['error']}")
        return signer

    def _read(self, connection: socket.socket, signer: wire.Signer) -> tuple[dict[str, object], bytes]:
        length, signature = wire.parse_header(_receive(connection, wire.HEADER))
        return signer.unpack(b"from 0", signature, _receive(connection, length))

    def meet(self, key: str, members: Sequence[int], value: bytes = b"", timeout: float = 600.0) -> list[bytes]:
        """Exchange bytes with other ranks. Each member calls it with the same key, once.

        Parameters
        ----------
        key : str
            The name of the meeting.
        members : sequence of int
            The ranks that meet, the same ones on each of them.
        value : bytes
            What this rank brings; 64 MiB in all.
        timeout : float
            The seconds that the others have.

        Returns
        -------
        list of bytes
            What each member brought, in the order of ``members``.

        Raises
        ------
        TimeoutError
            If a member has not come in time. The message names it, and every member gets this error.
        RuntimeError
            If a member has ended, or if the members do not agree who meets.
        ValueError
            If the value is too long.
        """
        if len(value) > wire.LIMIT:
            raise ValueError(f"at most {wire.LIMIT} bytes pass between ranks at once, not {len(value)}")
        return self._ask({"key": key, "members": list(members), "timeout": timeout}, value, timeout)

    def mail(self, to: int | None = None, message: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Send a message to the second connection of another rank, and return what has arrived for this one.

        Returns
        -------
        list of dict
            For each message, the rank it is "from" and the "message". After the end of a rank there is a last one:
            ``{"ended": True}``.
        """
        request = {} if to is None else {"to": to, "message": message}
        return [json.loads(letter) for letter in self._ask(request, b"", 30)]

    def second(self, timeout: float = 600.0) -> Rendezvous:
        """Another connection of this rank, for `mail`."""
        return Rendezvous(self._launch, timeout, control=True)

    def say_goodbye(self) -> None:
        """Let the end of this second connection be no news for the other ranks."""
        self._ask({"bye": True}, b"", 30)

    def _ask(self, request: dict[str, Any], value: bytes, timeout: float) -> list[bytes]:
        """Send a request to rank 0, and return its answer."""
        with self._lock:
            try:
                self._socket.settimeout(min(timeout + 30, 1e8))  # rank 0 answers earlier, unless its machine is gone
                self._socket.sendall(self._signer.pack(b"to 0", request, value))
                answer, values = self._read(self._socket, self._signer)
            except (OSError, EOFError, wire.Garbage) as error:
                raise RuntimeError(
                    f"rank {self.rank} has lost rank 0 at {self._place}, which has ended: {error}"
                ) from error
        if "error" in answer:
            kind = TimeoutError if answer.get("kind") == "timeout" else RuntimeError
            raise kind(str(answer["error"]))
        sizes = answer["sizes"]
        assert isinstance(sizes, list)
        ends = list(itertools.accumulate(sizes))
        return [values[end - size : end] for size, end in zip(sizes, ends, strict=True)]

    def close(self, timeout: float = 5.0) -> None:
        """Leave. Rank 0 waits a moment until the others have left, so that each gets its last answer."""
        _left.add(self._place)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        if self._server is not None:
            self._server.close(timeout)
