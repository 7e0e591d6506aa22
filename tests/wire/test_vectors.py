"""Defends: issue 2: vectors in tests/vectors/, from which another client can be checked."""

import json
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from lairchat.wire import codec
from lairchat.wire.errors import CODES, ProtocolError
from lairchat.wire.session import ClientSession, ServerSession, SessionStage
from tests.wire import vectors
from tests.wire.test_session import pair

FILE = Path(vectors.__file__).parents[1] / "vectors" / "lair1.json"
VECTORS: dict[str, Any] = json.loads(FILE.read_text())
FLIGHTS = [(flight["from"], bytes.fromhex(flight["hex"])) for flight in VECTORS["session"]]


def named(group: str) -> Any:
    return pytest.mark.parametrize("vector", VECTORS[group], ids=lambda vector: vector["name"])


def meaning(frame: Any) -> Any:
    """Return a frame object in the words of the file."""
    if isinstance(frame, Raw):
        return meaning(msgspec.msgpack.decode(frame))
    if isinstance(frame, msgspec.Struct):
        tag = frame.__struct_config__.tag
        said = {} if tag is None else {"t": tag}
        for field in msgspec.structs.fields(frame):
            value = getattr(frame, field.name)
            if value != field.default and not (
                field.default_factory is not msgspec.NODEFAULT and not value
            ):
                said[field.name] = meaning(value)
        return said
    if isinstance(frame, dict):
        return {name: meaning(value) for name, value in frame.items()}
    if isinstance(frame, list):
        return list(map(meaning, frame))
    return {"$hex": frame.hex()} if isinstance(frame, bytes) else frame


def test_the_file_is_what_the_program_writes() -> None:
    assert vectors.build() == VECTORS


def test_every_code_has_a_vector() -> None:
    shown = {vector["code"] for vector in chain(VECTORS["malformed"], VECTORS["arguments"])}
    # The others need a table of commands.
    assert set(CODES) - shown == {"LC-ARGS", "LC-BODY", "LC-COMMAND-UNKNOWN"}


@named("frames")
def test_frames_mean_what_the_file_says(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    decode: Any = codec.decode_client if vector["from"] == "client" else codec.decode_server
    frame = decode(data[4:])
    told = {name: value for name, value in vector["means"].items() if name != "new"}
    assert meaning(frame) == told
    assert (codec.encode(frame) == data) is vector["shortest"]


@named("malformed")
def test_malformed_frames_are_refused_with_the_code(vector: dict[str, Any]) -> None:
    client, server = pair(SessionStage[vector["stage"].upper()])
    end: ClientSession | ServerSession = client if vector["to"] == "client" else server
    with pytest.raises(ProtocolError) as caught:
        end.receive(bytes.fromhex(vector["hex"]))
    assert caught.value.code == vector["code"]


@named("arguments")
def test_malformed_arguments_are_refused_with_the_code(vector: dict[str, Any]) -> None:
    frame: Any = codec.decode_client(bytes.fromhex(vector["hex"])[4:])
    with pytest.raises(ProtocolError) as caught:
        codec.decode_args(dict[str, Any], frame.args)
    assert caught.value.code == vector["code"]


class Play:
    """The golden session between two ends of ours, with a say in how its bytes are cut."""

    def __init__(self) -> None:
        self.client = ClientSession()
        self.server = ServerSession()
        self.heard: list[list[Any]] = []

    def fly(self, sender: str, data: bytes, cuts: list[int]) -> None:
        says: Any = self.client if sender == "client" else self.server
        hears: Any = self.server if sender == "client" else self.client
        decode: Any = codec.decode_client if sender == "client" else codec.decode_server
        said = b""
        while len(said) < len(data):
            size = int.from_bytes(data[len(said) : len(said) + 4], "big")
            said += says.send(decode(data[len(said) + 4 :][:size]))
        assert said == data
        frames = []
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            frames += hears.receive(data[start:end])
        self.heard.append(frames)


def play(cuts: dict[int, list[int]]) -> list[list[Any]]:
    session = Play()
    for number, (sender, data) in enumerate(FLIGHTS):
        session.fly(sender, data, cuts.get(number, []))
    assert session.client.stage is session.server.stage is SessionStage.CLOSED
    assert session.client.waiting == frozenset()
    assert session.client.unanswered == session.server.unanswered == 0
    return session.heard


def test_the_golden_session_means_what_the_file_says() -> None:
    for heard, flight in zip(play({}), VECTORS["session"], strict=True):
        assert list(map(meaning, heard)) == flight["means"]


@pytest.mark.parametrize("number", range(len(FLIGHTS)))
def test_every_split_of_the_golden_session(number: int) -> None:
    whole = play({})
    data = FLIGHTS[number][1]
    for cut in range(1, len(data)):
        assert play({number: [cut]}) == whole
    assert play({number: list(range(1, len(data)))}) == whole


def test_the_golden_session_byte_by_byte() -> None:
    cuts = {number: list(range(1, len(data))) for number, (_, data) in enumerate(FLIGHTS)}
    assert play(cuts) == play({})


def test_the_golden_session_cut_short_anywhere_breaks_nothing() -> None:
    """Defends: every truncation: what was whole is heard, the rest is held, nothing is raised."""
    for number, (sender, data) in enumerate(FLIGHTS):
        for end in range(0, len(data), 7):
            session = Play()
            for earlier in FLIGHTS[:number]:
                session.fly(*earlier, [])
            hears: Any = session.server if sender == "client" else session.client
            hears.receive(data[:end])
            assert hears.pending <= end
