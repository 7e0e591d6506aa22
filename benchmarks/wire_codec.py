"""Prints what the wire protocol costs per operation: ``python benchmarks/wire_codec.py``.

Each figure is the fastest of several runs, in nanoseconds, on one core; ``--json`` prints one line.
The frame measured is a message of about 220 bytes with its key, about 330 bytes in all.
"""

import argparse
import gc
import json
import platform
import timeit
import tracemalloc
from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta, Raw

from lairchat.model import limits
from lairchat.wire import codec
from lairchat.wire.contract import Request
from lairchat.wire.frames import FrameReader, frame
from lairchat.wire.objects import (
    CommandFrame,
    EventFrame,
    IdentityStatement,
    Int63,
    Ok,
    ServerHello,
)
from lairchat.wire.scan import scan
from lairchat.wire.session import ClientSession, ServerSession

PIPELINED = 32


class Send(Request, frozen=True):
    """A message, as the benchmark's stand-in for the real command."""

    room: Int63
    kind: Annotated[int, Meta(ge=1, le=6)]
    body: Annotated[bytes, Meta(max_length=16_384)]
    at: Int63 = 0


HELLO = ServerHello(
    version=1,
    server="",
    name="",
    now=0,
    identity=IdentityStatement(bytes(32), 0, bytes(64)),
    registration="open",
)


def nanoseconds(work: Callable[[], object], operations: int = 1, number: int = 20_000) -> float:
    """Return the time of one operation in the fastest of seven runs."""
    number = max(1, number // operations)
    return min(timeit.repeat(work, number=number, repeat=7)) / number / operations * 1e9


def sessions() -> tuple[ClientSession, ServerSession]:
    client, server = ClientSession(), ServerSession()
    server.receive(client.hello("bench"))
    client.receive(server.send(HELLO))
    client.authenticated()
    server.authenticated()
    return client, server


def bytes_per_session() -> float:
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = [sessions()[1] for _ in range(1_000)]
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return used / len(kept)


def measure() -> dict[str, float]:
    args = Send(room=12_345, kind=1, body=bytes(range(220)), at=1_760_000_000_000)
    raw = Raw(codec.encode_body(args))
    command = CommandFrame(id=77, do="message.send", args=raw, key=bytes(range(16)))
    data = codec.encode(command)
    body = data[limits.FRAME_HEADER_BYTES :]
    # The same command as a client in another language may write it: keys in another order.
    odd = msgspec.msgpack.encode(dict(reversed(msgspec.msgpack.decode(body).items())))
    decoded = codec.decode_client(body)
    assert isinstance(decoded, CommandFrame)
    event = EventFrame("message.new", raw)
    event_body = codec.encode(event)[limits.FRAME_HEADER_BYTES :]
    reader = FrameReader(limits.FRAME_BYTES)
    _, server = sessions()
    flight = data * PIPELINED
    half = len(data) // 2
    big = frame(bytes(limits.FRAME_BYTES))

    def in_halves() -> None:
        reader.receive(data[:half])
        reader.receive(data[half:])

    def in_pieces(size: int) -> Callable[[], None]:
        pieces = [big[at : at + size] for at in range(0, len(big), size)]

        def work() -> None:
            for piece in pieces:
                reader.receive(piece)

        return work

    return {
        "frame bytes": len(data),
        "reader, one frame": nanoseconds(lambda: reader.receive(data)),
        "reader, per frame of 32": nanoseconds(lambda: reader.receive(flight), PIPELINED),
        "reader, a frame in two halves": nanoseconds(in_halves),
        "reader, 64 KiB in chunks of 16 KiB, per KiB": nanoseconds(in_pieces(16_384), 64),
        "reader, 64 KiB in chunks of 100 bytes, per KiB": nanoseconds(in_pieces(100), 64),
        "decode_client": nanoseconds(lambda: codec.decode_client(body)),
        "decode_args": nanoseconds(lambda: codec.decode_args(Send, decoded.args)),
        "decode_client, keys in another order (scanned)": nanoseconds(
            lambda: codec.decode_client(odd)
        ),
        "scan": nanoseconds(lambda: scan(body)),
        "session, receive one command": nanoseconds(lambda: server.receive(data)),
        "session, per command of 32": nanoseconds(lambda: server.receive(flight), PIPELINED),
        "encode arguments": nanoseconds(lambda: codec.encode_body(args)),
        "encode a command": nanoseconds(lambda: codec.encode(command)),
        "encode an ok": nanoseconds(lambda: codec.encode(Ok(77, raw))),
        "encode an event": nanoseconds(lambda: codec.encode(event)),
        "decode_server, an event": nanoseconds(lambda: codec.decode_server(event_body)),
        "bytes of memory per idle session": bytes_per_session(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    figures = measure()
    if parser.parse_args().json:
        told = {name: round(figure) for name, figure in figures.items()}
        print(json.dumps({"python": platform.python_version(), **told}))
        return
    for name, figure in figures.items():
        print(f"{name:50} {figure:8.0f}")


if __name__ == "__main__":
    main()
