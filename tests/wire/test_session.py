"""Defends: architecture.md "Session on the wire": hello, then commands and answers, then bye."""

import sys
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw, structs

from lairchat.model import limits
from lairchat.wire import codec, objects
from lairchat.wire.contract import Request
from lairchat.wire.errors import MisuseError, ProtocolError
from lairchat.wire.session import (
    TRANSITIONS,
    Authenticated,
    ClientSession,
    ServerSession,
    SessionStage,
    negotiate,
)
from tests.strategies import chunkings, client_frames, mutations, server_frames
from tests.wire.test_frames import GREETINGS

CONNECTED, GREETED, READY, CLOSING, CLOSED = SessionStage


class Args(Request, frozen=True):
    text: str = ""


HELLO = objects.ServerHello(
    version=1,
    server="lairchat",
    name="home",
    now=1,
    identity=objects.IdentityStatement(bytes(32), 1, bytes(64)),
    registration="open",
)
NEWER = structs.replace(HELLO, version=2)
NOTHING = Raw(b"\x80")
CLIENT_SAYS: dict[str, objects.ClientFrame] = {
    "hello": objects.ClientHello([1]),
    "cmd": objects.CommandFrame(id=9, do="a.b", args=NOTHING),
    "ping": objects.Ping(7),
    "pong": objects.Pong(1),
    "bye": objects.ClientBye(),
}
SERVER_SAYS: dict[str, objects.ServerFrame] = {
    "hello": HELLO,
    "ok": objects.Ok(1, NOTHING),
    "error": objects.Error(code="LC-X", text=""),
    "event": objects.EventFrame("a.b", NOTHING),
    "ping": objects.ServerPing(7),
    "pong": objects.ServerPong(1),
    "bye": objects.ServerBye("LC-X", ""),
}

# The table once more, as the protocol document tells it: who may say what, after what.
CLIENT_MAY = {
    CONNECTED: {"hello", "bye"},
    GREETED: {"cmd", "ping", "pong", "bye"},
    READY: {"cmd", "ping", "pong", "bye"},
    CLOSED: set(),
}
SERVER_MAY = {
    CONNECTED: {"hello", "error", "bye"},
    GREETED: {"ok", "error", "event", "ping", "pong", "bye"},
    READY: {"ok", "error", "event", "ping", "pong", "bye"},
    CLOSED: set(),
}


def pair(stage: SessionStage) -> tuple[ClientSession, ServerSession]:
    """Return two ends that have come to this stage, each with a ping and a command under way."""
    client, server = ClientSession(), ServerSession()
    if stage is not CONNECTED:
        server.receive(client.hello("test"))
        client.receive(server.send(HELLO))
        server.receive(client.command("a.b", Args())[1])
        client.receive(server.ping())
        server.receive(client.ping())
    if stage is READY:
        client.authenticated()
        server.authenticated()
    return client, server


def client_at(stage: SessionStage, *, said: bool) -> ClientSession:
    """Return a client that itself (or, unless ``said``, whose server) has come to this stage."""
    client, server = pair(GREETED if stage is CLOSED else stage)
    if stage is CLOSED:
        if said:
            client.bye()
        else:
            client.receive(server.bye("LC-X", ""))
    elif stage is CONNECTED and not said:
        client.hello("test")
    return client


def server_at(stage: SessionStage, *, said: bool) -> ServerSession:
    """Return a server that itself (or, unless ``said``, whose client) has come to this stage."""
    client, server = pair(GREETED if stage is CLOSED else stage)
    if stage is CLOSED:
        if said:
            server.bye("LC-X", "")
        else:
            server.receive(client.bye())
    elif stage is CONNECTED and said:
        server.receive(client.hello("test"))
    return server


def refused(receive: Callable[[bytes], Any], data: bytes) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        receive(data)
    return caught.value


# -- every cell of the table, on both ends


def test_the_table_says_what_the_document_says() -> None:
    told: dict[tuple[SessionStage, str, str], SessionStage] = {}
    for may, frames in ((CLIENT_MAY, CLIENT_SAYS), (SERVER_MAY, SERVER_SAYS)):
        for stage, names in may.items():
            for name in names:
                after = {"hello": GREETED, "bye": CLOSED}.get(name, stage)
                told[stage, type(frames[name]).__name__, name] = after
    listed = {
        (stage, said.__name__, said.__struct_config__.tag): after
        for (stage, said), after in TRANSITIONS.items()
        if said is not Authenticated
    }
    assert listed == told
    assert TRANSITIONS[GREETED, Authenticated] is READY


@pytest.mark.parametrize("name", CLIENT_SAYS)
@pytest.mark.parametrize("stage", CLIENT_MAY)
def test_what_a_server_hears_at_each_stage(stage: SessionStage, name: str) -> None:
    server = server_at(stage, said=False)
    frame = CLIENT_SAYS[name]
    if name in CLIENT_MAY[stage]:
        assert server.receive(codec.encode(frame)) == [frame]
    else:
        error = refused(server.receive, codec.encode(frame))
        assert error.code == "LC-STAGE"
        assert repr(name) in error.text
        assert stage.name in error.text


@pytest.mark.parametrize("name", SERVER_SAYS)
@pytest.mark.parametrize("stage", SERVER_MAY)
def test_what_a_client_hears_at_each_stage(stage: SessionStage, name: str) -> None:
    client = client_at(stage, said=False)
    frame = SERVER_SAYS[name]
    if name in SERVER_MAY[stage]:
        assert client.receive(codec.encode(frame)) == [frame]
    else:
        assert refused(client.receive, codec.encode(frame)).code == "LC-STAGE"


@pytest.mark.parametrize("name", CLIENT_SAYS)
@pytest.mark.parametrize("stage", CLIENT_MAY)
def test_what_a_client_says_at_each_stage(stage: SessionStage, name: str) -> None:
    client = client_at(stage, said=True)
    if name in CLIENT_MAY[stage]:
        assert client.send(CLIENT_SAYS[name]) == codec.encode(CLIENT_SAYS[name])
    else:
        with pytest.raises(MisuseError, match=name):
            client.send(CLIENT_SAYS[name])


@pytest.mark.parametrize("name", SERVER_SAYS)
@pytest.mark.parametrize("stage", SERVER_MAY)
def test_what_a_server_says_at_each_stage(stage: SessionStage, name: str) -> None:
    server = server_at(stage, said=True)
    if name in SERVER_MAY[stage]:
        assert server.send(SERVER_SAYS[name]) == codec.encode(SERVER_SAYS[name])
    else:
        with pytest.raises(MisuseError, match=name):
            server.send(SERVER_SAYS[name])


def test_what_has_been_said_stays_said_when_something_else_is_refused() -> None:
    client, server = pair(GREETED)
    with pytest.raises(MisuseError):
        server.send(HELLO)
    with pytest.raises(MisuseError):
        server.send(objects.EventFrame("a", Raw(b"\xc5\xff\xff" + bytes(65_535))))
    assert client.receive(server.send(SERVER_SAYS["ok"])) == [SERVER_SAYS["ok"]]


# -- hello


@pytest.mark.parametrize("offered", [[1], [2, 1], [65535, 3, 1], [1, 1]])
def test_the_highest_common_version_is_chosen(offered: list[int]) -> None:
    server = ServerSession()
    assert server.version == 0
    server.receive(codec.encode(objects.ClientHello(offered)))
    assert server.version == 1
    assert negotiate(offered) == 1


def test_no_common_version_is_said_with_both_lists() -> None:
    server = ServerSession()
    error = refused(server.receive, codec.encode(objects.ClientHello([9, 8])))
    assert error.code == "LC-VERSION"
    assert error.text == "this server speaks lair/1, the client lair/9, 8"
    client = ClientSession()
    client.hello("test")
    report, bye = client.receive(server.fail(error))
    assert isinstance(report, objects.Error)
    assert isinstance(bye, objects.ServerBye)
    assert (report.code, bye.code) == ("LC-VERSION", "LC-VERSION")


def test_a_newer_library_speaks_the_highest() -> None:
    assert negotiate([2, 1], (3, 2, 1)) == 2
    assert negotiate([4, 3, 1], (3, 2, 1)) == 3


def test_a_client_takes_no_version_that_it_did_not_offer() -> None:
    client = ClientSession()
    client.hello("test")
    assert refused(client.receive, codec.encode(NEWER)).code == "LC-VERSION"


def test_a_client_is_not_greeted_before_it_greets() -> None:
    assert refused(ClientSession().receive, codec.encode(HELLO)).code == "LC-STAGE"


def test_a_server_greets_after_it_was_greeted_and_with_that_version() -> None:
    server = ServerSession()
    with pytest.raises(MisuseError):
        server.send(HELLO)
    server.receive(ClientSession().hello("test"))
    with pytest.raises(MisuseError):
        server.send(NEWER)
    server.send(HELLO)


def test_a_client_says_nothing_before_it_knows_the_server() -> None:
    """Defends: decision 11: tokens and secrets go to nobody whose identity is not proven."""
    client = ClientSession()
    client.hello("test", ["x"])
    for frame in (CLIENT_SAYS["cmd"], CLIENT_SAYS["ping"], CLIENT_SAYS["pong"]):
        with pytest.raises(MisuseError):
            client.send(frame)
    with pytest.raises(MisuseError):
        client.command("a.b", Args())
    assert client.waiting == frozenset()
    assert client.unanswered == 0


def test_a_server_takes_commands_sent_together_with_the_hello() -> None:
    """Defends: how bytes are cut into chunks changes nothing: the server's hello is still due."""
    frames = [CLIENT_SAYS["hello"], CLIENT_SAYS["cmd"], CLIENT_SAYS["bye"]]
    server = ServerSession()
    assert server.receive(b"".join(map(codec.encode, frames))) == frames
    assert server.send(HELLO)
    assert server.send(SERVER_SAYS["ok"])
    assert server.bye("LC-X", "")
    assert server.stage is CLOSED


# -- requests


def test_ids_are_fresh_and_answers_find_their_request() -> None:
    client, server = pair(READY)
    ids = []
    for n in range(3):
        number, data = client.command("a.b", Args(str(n)), bytes(16))
        (frame,) = server.receive(data)
        assert isinstance(frame, objects.CommandFrame)
        assert (frame.id, frame.do, frame.key) == (number, "a.b", bytes(16))
        assert codec.decode_args(Args, frame.args) == Args(str(n))
        ids.append(number)
    assert len(set(ids)) == 3
    assert client.waiting.issuperset(ids)
    # Out of order, one of them refused.
    for number, answer in (
        (ids[2], objects.Ok(ids[2], NOTHING)),
        (ids[0], objects.Error(code="LC-X", text="", id=ids[0])),
        (ids[1], objects.Ok(ids[1], NOTHING)),
    ):
        assert client.receive(server.send(answer)) == [answer]
        assert number not in client.waiting


@pytest.mark.parametrize("kind", ["ok", "error"])
@pytest.mark.parametrize("number", [2, 77, limits.REQUEST_ID_MAX])
def test_an_answer_to_nothing_is_refused(kind: str, number: int) -> None:
    client, _ = pair(READY)
    answer: objects.ServerFrame = (
        objects.Ok(number, NOTHING)
        if kind == "ok"
        else objects.Error(code="LC-X", text="", id=number)
    )
    assert refused(client.receive, codec.encode(answer)).code == "LC-REPLY"


def test_a_second_answer_is_refused() -> None:
    client, server = pair(READY)
    data = server.send(objects.Ok(1, NOTHING))
    error = refused(client.receive, data + data)
    assert error.code == "LC-REPLY"
    assert error.before == [objects.Ok(1, NOTHING)]


def test_an_error_of_the_whole_connection_answers_nothing() -> None:
    client, server = pair(READY)
    client.receive(server.send(objects.Error(code="LC-X", text="")))
    assert client.waiting == {1}


def test_ids_wrap_and_pass_over_those_that_wait() -> None:
    client, _ = pair(READY)
    client._asked = limits.REQUEST_ID_MAX - 1
    assert client.command("a.b", Args())[0] == limits.REQUEST_ID_MAX
    assert client.command("a.b", Args())[0] == 2  # 1 has waited all the time
    with pytest.raises(MisuseError):
        client.send(objects.CommandFrame(id=2, do="a.b", args=NOTHING))
    client._asked = limits.REQUEST_ID_MAX - 1
    assert client.command("a.b", Args())[0] == 3
    assert client.waiting == {1, 2, 3, limits.REQUEST_ID_MAX}


# -- ping


@pytest.mark.parametrize("asking", ["client", "server"])
def test_pings_are_counted_until_answered(asking: str) -> None:
    client, server = ClientSession(), ServerSession()
    server.receive(client.hello("test"))
    client.receive(server.send(HELLO))
    asks: Any = client if asking == "client" else server
    hears: Any = server if asking == "client" else client
    frames = hears.receive(asks.ping() + asks.ping() + asks.ping())
    assert [frame.n for frame in frames] == [1, 2, 3]
    assert asks.unanswered == 3
    asks.receive(hears.pong(frames[1]))
    assert asks.unanswered == 1
    asks.receive(hears.pong(frames[2]))
    assert asks.unanswered == 0
    assert refused(asks.receive, hears.pong(frames[2])).code == "LC-PONG"


def test_numbers_of_pings_rise() -> None:
    client, server = pair(READY)
    for n in (0, 1):
        with pytest.raises(MisuseError):
            client.send(objects.Ping(n))
        with pytest.raises(MisuseError):
            server.send(objects.ServerPing(n))
    client.receive(server.send(objects.ServerPing(5)))
    server.receive(client.send(objects.Pong(5)))
    assert server.unanswered == 0


@pytest.mark.parametrize("n", [0, 2, 2**63 - 1])
def test_a_pong_that_nobody_asked_for_is_refused(n: int) -> None:
    client, server = pair(READY)
    assert refused(server.receive, codec.encode(objects.Pong(n))).code == "LC-PONG"
    assert refused(client.receive, codec.encode(objects.ServerPong(n))).code == "LC-PONG"


# -- bye


def test_a_client_leaves_and_still_gets_its_answers() -> None:
    client, server = pair(READY)
    assert server.receive(client.bye()) == [objects.ClientBye()]
    assert (client.stage, server.stage) == (CLOSING, CLOSING)
    last = [objects.Ok(1, NOTHING), objects.EventFrame("a.b", NOTHING)]
    assert client.receive(b"".join(map(server.send, last))) == last
    assert client.receive(server.bye("LC-BYE", "see you")) == [
        objects.ServerBye("LC-BYE", "see you")
    ]
    assert (client.stage, server.stage) == (CLOSED, CLOSED)


def test_a_server_leaves_and_drops_what_crossed_its_bye() -> None:
    client, server = pair(READY)
    crossing = client.command("a.b", Args())[1]
    bye = server.bye("LC-SHUTDOWN", "restarting")
    assert server.receive(crossing + b"\xff" * 99) == []
    assert server.pending == 0
    client.receive(bye)
    assert (client.stage, server.stage) == (CLOSING, CLOSING)
    # What the client's owner says before it has handled the bye goes nowhere, but is no mistake.
    client.command("a.b", Args())
    client.bye()
    assert client.stage is CLOSED


def test_everything_said_after_a_bye_is_nothing_or_our_mistake() -> None:
    client, server = pair(READY)
    for end in (client, server):
        bye: Any = end.bye if isinstance(end, ClientSession) else lambda: server.bye("LC-X", "")
        assert bye()
        assert bye() == b""
        assert end.ping() == b""
    assert client.pong(objects.ServerPing(1)) == b""
    assert server.pong(objects.Ping(1)) == b""
    assert server.fail(ProtocolError("LC-STAGE")) == b""
    with pytest.raises(MisuseError):
        client.command("a.b", Args())


def test_a_bye_sent_as_a_frame_is_a_bye() -> None:
    client, server = pair(READY)
    server.send(objects.ServerBye("LC-X", ""))
    assert server.receive(client.ping()) == []


# -- logging in


def test_frames_grow_when_somebody_is_logged_in() -> None:
    client, server = pair(GREETED)
    big = Args("x" * 20_000)
    with pytest.raises(MisuseError, match="before logging in"):
        client.command("a.b", big)
    assert client.waiting == {1}

    def command_of(size: int) -> objects.CommandFrame:
        return objects.CommandFrame(id=9, do="a.b", args=Raw(codec.encode_body(bytes(size))))

    around = len(codec.encode(command_of(256))) - 256
    most = limits.FRAME_GREETING_BYTES + 4 - around
    with pytest.raises(MisuseError, match="before logging in"):
        client.send(command_of(most + 1))
    assert len(client.send(command_of(most))) == limits.FRAME_GREETING_BYTES + 4
    raw = codec.encode(objects.CommandFrame(id=5, do="a.b", args=Raw(codec.encode_body(big))))
    assert refused(pair(GREETED)[1].receive, raw[:4]).code == "LC-FRAME-SIZE"
    # A client takes large frames always: the answer to its login may be one.
    answer = objects.Ok(1, Raw(codec.encode_body("x" * 60_000)))
    server.authenticated()
    assert client.receive(server.send(answer)) == [answer]
    client.authenticated()
    assert (client.stage, server.stage) == (READY, READY)
    assert len(server.receive(client.command("a.b", big)[1])) == 1
    assert refused(server.receive, (limits.FRAME_BYTES + 1).to_bytes(4, "big")).code == (
        "LC-FRAME-SIZE"
    )


def test_events_may_come_before_the_client_knows_that_it_is_logged_in() -> None:
    client, server = pair(GREETED)
    server.authenticated()
    frames = [objects.Ok(1, NOTHING), objects.EventFrame("a.b", NOTHING)]
    assert client.receive(b"".join(map(server.send, frames))) == frames


def test_nobody_is_logged_in_before_the_hellos() -> None:
    client, server = ClientSession(), ServerSession()
    for end in (client, server):
        with pytest.raises(MisuseError):
            end.authenticated()
    server.receive(client.hello("test"))
    with pytest.raises(MisuseError):
        server.authenticated()


def test_a_login_that_ends_after_a_bye_changes_nothing() -> None:
    client, server = pair(GREETED)
    server.receive(client.bye())
    server.authenticated()
    server.authenticated()
    assert server.stage is CLOSING
    assert refused(server.receive, codec.encode(CLIENT_SAYS["ping"])).code == "LC-STAGE"


def test_the_stages_of_a_session_follow_the_slower_direction() -> None:
    client, server = ClientSession(), ServerSession()
    assert (client.stage, server.stage) == (CONNECTED, CONNECTED)
    hello = client.hello("test")
    server.receive(hello)
    assert (client.stage, server.stage) == (CONNECTED, CONNECTED)
    answer = server.send(HELLO)
    assert (client.stage, server.stage) == (CONNECTED, GREETED)
    assert client.version == 0
    client.receive(answer)
    assert (client.stage, server.stage) == (GREETED, GREETED)
    assert client.version == server.version == 1


# -- faults


def test_faults_come_after_what_was_sound() -> None:
    _, server = pair(READY)
    sound = [CLIENT_SAYS["cmd"], CLIENT_SAYS["ping"]]
    stream = b"".join(map(codec.encode, sound))
    for fault in (b"\xff" * 4, bytes(4), b"\0\0\0\x01\xc1", codec.encode(CLIENT_SAYS["hello"])):
        server = pair(READY)[1]
        error = refused(server.receive, stream + fault + stream)
        assert error.before == sound
        assert server.receive(stream) == []


def test_the_first_of_two_faults_counts() -> None:
    server = pair(READY)[1]
    error = refused(server.receive, b"\0\0\0\x01\xc1" + b"\xff" * 4)
    assert error.code == "LC-DECODE"


def test_a_fault_can_be_told_at_every_stage() -> None:
    for stage in (CONNECTED, GREETED, READY):
        client, server = pair(stage)
        if stage is CONNECTED:
            client.hello("test")
        error = refused(server.receive, b"\xff" * 4)
        report, bye = client.receive(server.fail(error))
        assert report == objects.Error(code=error.code, text=error.text)
        assert bye == objects.ServerBye(error.code, error.text)
        assert server.fail(error) == b""


@pytest.mark.parametrize("name", GREETINGS)
def test_greetings_of_other_protocols_are_refused_with_their_first_bytes(name: str) -> None:
    for receive in (ServerSession().receive, ClientSession().receive):
        assert refused(receive, GREETINGS[name][:4]).code == "LC-FRAME-SIZE"


@given(st.lists(client_frames, max_size=6), st.data())
@settings(max_examples=300)
def test_any_chunking_gives_the_same_frames_and_fault(
    sent: list[objects.ClientFrame], data: st.DataObject
) -> None:
    """Defends: security.md "Framing": every split."""
    stream = b"".join(map(codec.encode, sent))
    if data.draw(st.booleans()):
        stream = data.draw(mutations(stream))
    whole = heard_by(ServerSession(), [stream])
    assert heard_by(ServerSession(), data.draw(chunkings(stream))) == whole


def heard_by(
    end: ClientSession | ServerSession, chunks: list[bytes]
) -> tuple[list[object], str | None]:
    """Return the frames that an end hears, and the code of the fault that ends it."""
    frames: list[object] = []
    code = None
    for chunk in chunks:
        try:
            frames += end.receive(chunk)
        except ProtocolError as error:
            frames += error.before
            code = error.code
    return frames, code


@given(st.lists(client_frames, max_size=4), st.lists(server_frames, max_size=4), st.data())
@settings(max_examples=500)
def test_damage_raises_nothing_else(
    said: list[objects.ClientFrame], answered: list[objects.ServerFrame], data: st.DataObject
) -> None:
    hello = codec.encode(CLIENT_SAYS["hello"])
    stream = b"".join(map(codec.encode, said))
    heard_by(ServerSession(), [hello, data.draw(mutations(stream))])
    stream = b"".join(map(codec.encode, answered))
    heard_by(pair(READY)[0], [data.draw(mutations(stream))])


@given(st.binary(max_size=80), st.booleans())
@settings(max_examples=500)
def test_noise_raises_nothing_else(noise: bytes, greeted: bool) -> None:
    start = codec.encode(CLIENT_SAYS["hello"]) if greeted else b""
    heard_by(ServerSession(), [start + noise])
    heard_by(ServerSession(), [start + len(noise).to_bytes(4, "big") + noise])


# -- cost


def test_an_idle_session_is_small() -> None:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        sessions = [ServerSession() for _ in range(1_000)]
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert used < 250 * len(sessions)
    assert not hasattr(sessions[0], "__dict__")
    assert sys.getsizeof(sessions[0]) <= 120


def test_stages_are_in_order() -> None:
    assert all(earlier < later for earlier, later in pairwise(SessionStage))
