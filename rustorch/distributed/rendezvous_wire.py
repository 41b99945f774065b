"""What the processes of a rendezvous send each other: the proofs that they have the token, and signed messages."""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
from typing import Any

#: The first bytes of both sides. Another program's answer differs, so that the error can say so.
MAGIC = b"rustorch rendezvous 1\n"
NONCE = PROOF = 32
#: The sizes of the three messages of the handshake: from rank 0, to rank 0, from rank 0.
HELLO, CLAIM, VERDICT = len(MAGIC) + NONCE, len(MAGIC) + 8 + NONCE + PROOF, 1 + PROOF
ACCEPTED, REFUSED = b"\x01", b"\x00"
#: Added to the rank in the claim of its second connection, which carries messages between the threads that watch.
CONTROL = 1 << 31
#: At most so many bytes are sent as one message. A longer one is refused before its bytes are read.
LIMIT = 64 << 20
HEADER = 8 + PROOF
_CLAIM = struct.Struct(f">{len(MAGIC)}sII{NONCE}s{PROOF}s")
_HEADER = struct.Struct(f">Q{PROOF}s")


class Garbage(ValueError):
    """These bytes are not what the other side of a rendezvous sends."""


def proof(token: bytes, side: bytes, hello: bytes, nonce: bytes, rank: int, size: int) -> bytes:
    """The proof that a side has the token. It is worth nothing in another connection, and not for the other side."""
    numbers = struct.pack(">II", rank, size)
    return hmac.digest(token, b"\n".join((side, hello, nonce, numbers)), hashlib.sha256)


def claim(token: bytes, hello: bytes, nonce: bytes, rank: int, size: int) -> bytes:
    """The message by which a process says which rank it is, and proves that it has the token."""
    return _CLAIM.pack(MAGIC, rank, size, nonce, proof(token, b"claim", hello, nonce, rank, size))


def parse_claim(message: bytes, token: bytes, hello: bytes) -> tuple[int, int, bytes] | None:
    """The rank, the number of ranks and the nonce of a claim. None if it does not prove that it has the token."""
    magic, rank, size, nonce, given = _CLAIM.unpack(message)
    expected = proof(token, b"claim", hello, nonce, rank, size)
    return (rank, size, nonce) if hmac.compare_digest(given, expected) and magic == MAGIC else None


class Signer:
    """Signs the messages of one connection and checks them. Each is worth something once, and in its place only."""

    def __init__(self, token: bytes, hello: bytes, nonce: bytes, rank: int, size: int):
        self._key = proof(token, b"session", hello, nonce, rank, size)
        self._counts = {b"to 0": 0, b"from 0": 0}

    def _signature(self, direction: bytes, body: bytes) -> bytes:
        count = self._counts[direction]
        self._counts[direction] = count + 1
        return hmac.digest(self._key, direction + struct.pack(">Q", count) + body, hashlib.sha256)

    def pack(self, direction: bytes, header: dict[str, Any], values: bytes = b"") -> bytes:
        """A message: a header of JSON, a line feed, and the bytes of its values."""
        body = json.dumps(header).encode() + b"\n" + values
        return _HEADER.pack(len(body), self._signature(direction, body)) + body

    def unpack(self, direction: bytes, signature: bytes, body: bytes) -> tuple[dict[str, Any], bytes]:
        """The header and the values of a message.

        Raises
        ------
        Garbage
            If the other side did not sign it, or if it has another form.
        """
        if not hmac.compare_digest(signature, self._signature(direction, body)):
            raise Garbage("the signature is wrong")
        line, feed, values = body.partition(b"\n")
        try:
            header = json.loads(line)
        except ValueError as error:
            raise Garbage("the header is no JSON") from error
        if not feed or not isinstance(header, dict):
            raise Garbage("the header is no dict")
        return header, values


def parse_header(header: bytes) -> tuple[int, bytes]:
    """The size and the signature of the message that follows.

    Raises
    ------
    Garbage
        If it is longer than `LIMIT` and a header.
    """
    length, signature = _HEADER.unpack(header)
    if length > LIMIT + (1 << 20):
        raise Garbage(f"a message of {length} bytes is longer than the limit")
    return length, signature
