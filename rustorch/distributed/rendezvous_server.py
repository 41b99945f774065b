"""Rank 0's side of a rendezvous: it accepts processes that have the token, and lets ranks meet.

One thread serves all connections. A process that proves that it has the token is a rank; every other connection is
closed, after at most a few seconds and a few bytes, and disturbs no rank.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import socket
import threading
from typing import Any

from . import rendezvous_wire as wire

#: The most connections that have not shown the token yet. One more closes the oldest of them.
STRANGERS = 128
#: The longest key of a meeting, in characters.
KEY = 1024
#: The most messages that wait for one rank.
MAIL = 10_000


class _Failed(Exception):
    """A meeting does not take place. ``kind`` is "timeout", "left" or "usage"."""

    def __init__(self, kind: str, text: str):
        super().__init__(text)
        self.kind = kind


class _Meeting:
    """The values that the members have brought so far."""

    def __init__(self, key: str, members: tuple[int, ...]):
        self.key, self.members = key, members
        self.values: dict[int, bytes] = {}
        self.outcome: asyncio.Future[list[bytes]] = asyncio.get_running_loop().create_future()

    def missing(self) -> list[int]:
        return [rank for rank in self.members if rank not in self.values]

    def fail(self, kind: str, text: str) -> None:
        if not self.outcome.done():
            self.outcome.set_exception(_Failed(kind, text))
            self.outcome.exception()  # else asyncio complains if nobody waits for it


class Server:
    """The listener of rank 0. It runs in a thread of its own until `close`.

    Parameters
    ----------
    listener : socket.socket
        It is bound to the address of the rendezvous.
    size : int
        The number of ranks.
    token : bytes
        What every rank must have.
    patience : float
        The seconds in which a new connection must show the token.
    """

    def __init__(self, listener: socket.socket, size: int, token: bytes, patience: float = 5.0):
        self._size, self._token, self._patience = size, token, patience
        self._strangers: dict[asyncio.StreamWriter, None] = {}
        self._ranks: dict[int, asyncio.StreamWriter] = {}
        self._left: set[int] = set()
        self._meetings: dict[str, _Meeting] = {}
        self._mail: list[list[bytes]] = [[] for _ in range(size)]
        self._said_goodbye: set[int] = set()
        self._loop = asyncio.new_event_loop()
        self._all_left = asyncio.Event()
        self._thread = threading.Thread(target=self._run, args=(listener,), name="rustorch rendezvous", daemon=True)
        self._thread.start()

    def close(self, timeout: float = 5.0) -> None:
        """Stop once all ranks have left, or after ``timeout`` seconds."""

        async def stop() -> None:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._all_left.wait(), timeout)
            self._loop.stop()

        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(lambda: setattr(self, "_stopping", self._loop.create_task(stop())))
            self._thread.join(timeout + 5)

    def _run(self, listener: socket.socket) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, sock=listener))
        try:
            self._loop.run_forever()
        finally:
            server.close()
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            self._loop.close()

    # -- connections ---------------------------------------------------------------------------------------------------
    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its first to its last byte."""
        self._strangers[writer] = None
        if len(self._strangers) > STRANGERS:
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            oldest.transport.abort()
        try:
            async with asyncio.timeout(self._patience):
                found = await self._handshake(reader, writer)
            self._strangers.pop(writer, None)
            if found is not None:
                await self._serve_rank(*found, reader, writer)
        except (OSError, EOFError, TimeoutError, wire.Garbage):
            pass  # this process is gone, or is no rank
        finally:
            self._strangers.pop(writer, None)
            writer.transport.abort()

    async def _handshake(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[int, wire.Signer] | None:
        """The rank of a process that has the token and a place, and the signatures of its messages."""
        hello = wire.MAGIC + secrets.token_bytes(wire.NONCE)
        writer.write(hello)
        found = wire.parse_claim(await reader.readexactly(wire.CLAIM), self._token, hello)
        if found is None:
            writer.write(wire.REFUSED + bytes(wire.PROOF))
            writer.close()
            await writer.wait_closed()
            return None
        rank, size, nonce = found
        signer = wire.Signer(self._token, hello, nonce, rank, size)
        writer.write(wire.ACCEPTED + wire.proof(self._token, b"verdict", hello, nonce, rank, size))
        reason = self._no_place(rank, size)
        taken = rank in self._ranks or rank in self._left
        writer.write(signer.pack(b"from 0", {"error": reason, "taken": taken} if reason else {}))
        await writer.drain()
        if reason:
            writer.close()
            await writer.wait_closed()
            return None
        return rank, signer

    def _no_place(self, place: int, size: int) -> str:
        """Why a process with the token is no rank, or nothing."""
        rank = place & ~wire.CONTROL
        if size != self._size:
            return f"rank {rank} was started with WORLD_SIZE={size}, but rank 0 with WORLD_SIZE={self._size}"
        if not 0 <= rank < size:
            return f"RANK={rank} is not below WORLD_SIZE={size}"
        if place in self._ranks or place in self._left:
            return f"there is another process with RANK={rank}; each process needs a RANK of its own"
        return ""

    async def _serve_rank(
        self, rank: int, signer: wire.Signer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer the requests of a rank until it leaves. While it waits for others, its end is noticed."""
        if self._no_place(rank, self._size):
            return  # another process has taken the place since the handshake
        self._ranks[rank] = writer
        answers: set[asyncio.Task[None]] = set()
        try:
            while True:
                length, signature = wire.parse_header(await reader.readexactly(wire.HEADER))
                request, value = signer.unpack(b"to 0", signature, await reader.readexactly(length))
                answer = self._loop.create_task(self._answer(rank, request, value, signer, writer))
                answers.add(answer)
                answer.add_done_callback(answers.discard)
        finally:
            for answer in answers:
                answer.cancel()
            self._leave(rank)

    def _leave(self, rank: int) -> None:
        del self._ranks[rank]
        self._left.add(rank)
        for key, meeting in list(self._meetings.items()):
            if rank in meeting.missing():
                meeting.fail("left", f"rank {rank} has ended, and does not come to {key!r} any more")
        if rank & wire.CONTROL and rank & ~wire.CONTROL not in self._said_goodbye:
            for mail in self._mail:
                _deliver(mail, {"from": rank & ~wire.CONTROL, "message": {"ended": True}})
        if sum(place < wire.CONTROL for place in self._left) == self._size:
            self._all_left.set()

    # -- meetings ------------------------------------------------------------------------------------------------------
    async def _answer(
        self, rank: int, request: dict[str, Any], value: bytes, signer: wire.Signer, writer: asyncio.StreamWriter
    ) -> None:
        try:
            values = await self._meet(rank, request, value)
        except _Failed as error:
            message = signer.pack(b"from 0", {"error": str(error), "kind": error.kind})
        else:
            message = signer.pack(b"from 0", {"sizes": [len(v) for v in values]}, b"".join(values))
        with contextlib.suppress(OSError):
            writer.write(message)
            await writer.drain()

    def _pass_on(self, rank: int, request: dict[str, Any]) -> list[bytes]:
        """Put a message into another rank's mail, and return what is in this rank's mail."""
        to = request.get("to")
        if request.get("bye"):
            self._said_goodbye.add(rank)
        if to is not None:
            if not isinstance(to, int) or not 0 <= to < self._size:
                raise _Failed("usage", f"there is no rank {to!r:.100} to send a message to")
            _deliver(self._mail[to], {"from": rank, "message": request.get("message")})
        found, self._mail[rank] = self._mail[rank], []
        return found

    async def _meet(self, rank: int, request: dict[str, Any], value: bytes) -> list[bytes]:
        if rank & wire.CONTROL:
            return self._pass_on(rank & ~wire.CONTROL, request)
        key, members, timeout = request.get("key"), request.get("members"), request.get("timeout")
        if (
            not isinstance(key, str)
            or len(key) > KEY
            or not isinstance(members, list)
            or not all(isinstance(r, int) and 0 <= r < self._size for r in members)
            or rank not in members
            or not isinstance(timeout, int | float)
        ):
            raise _Failed("usage", f"rank {rank} asks for a meeting that cannot be: {request!r:.300}")
        meeting = self._meetings.get(key)
        if meeting is None:
            meeting = self._meetings[key] = _Meeting(key, tuple(members))
        if meeting.members != tuple(members):
            text = f"rank {rank} meets ranks {members} at {key!r}, but others meet {list(meeting.members)} there"
            meeting.fail("usage", text)
            raise _Failed("usage", text)
        meeting.values[rank] = value
        missing = meeting.missing()
        if gone := [r for r in missing if r in self._left]:
            meeting.fail("left", f"rank {gone[0]} has ended, and does not come to {key!r} any more")
        if not missing:
            del self._meetings[key]
            total = sum(map(len, meeting.values.values()))
            if total > wire.LIMIT:
                meeting.fail("usage", f"the values of {key!r} have {total} bytes, and at most {wire.LIMIT} are allowed")
            elif not meeting.outcome.done():
                meeting.outcome.set_result([meeting.values[r] for r in meeting.members])
        try:
            return await asyncio.wait_for(asyncio.shield(meeting.outcome), timeout)
        except TimeoutError:
            missing = meeting.missing()
            names = f"rank{'s' * (len(missing) > 1)} {', '.join(map(str, missing))}"
            meeting.fail("timeout", f"after {timeout:g} s, {names} had not come to {key!r}, where rank {rank} waited")
            return meeting.outcome.result()


def _deliver(mail: list[bytes], letter: dict[str, Any]) -> None:
    if len(mail) < MAIL:
        mail.append(json.dumps(letter).encode())
