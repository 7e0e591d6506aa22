"""Hypothesis strategies for what travels on the wire, for every test that needs frames."""

from typing import Any

from hypothesis import strategies as st
from msgspec import Raw

from lairchat.model import limits
from lairchat.wire import codec, objects

int63 = st.integers(0, limits.INTEGER_MAX)
request_ids = st.integers(1, limits.REQUEST_ID_MAX)
keys = st.binary(min_size=16, max_size=16)
names = st.text("abcdefghijklmnopqrstuvwxyz.", min_size=1, max_size=limits.COMMAND_NAME_CHARS)
codes = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ-", min_size=1, max_size=40)
# Lone surrogates are in Python's strings but in no UTF-8.
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
seconds = st.floats(0, 10 * 365 * limits.DAY)

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-limits.INTEGER_MAX - 1, limits.INTEGER_MAX)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text
    | st.binary(max_size=80)
)


def values(levels: int = 4) -> st.SearchStrategy[Any]:
    """Draw what MessagePack can say within our bounds, with at most so many levels."""
    drawn: st.SearchStrategy[Any] = scalars
    for _ in range(levels):
        drawn = scalars | st.lists(drawn, max_size=4) | st.dictionaries(text, drawn, max_size=4)
    return drawn


maps = st.dictionaries(text, values(3), max_size=5)
raws = maps.map(lambda value: Raw(codec.encode_body(value)))

client_hellos = st.builds(
    objects.ClientHello,
    versions=st.lists(st.integers(1, 65535), max_size=7).map(lambda more: [*more, 1]),
    client=text,
    features=st.lists(text, max_size=limits.FEATURES_OFFERED),
)
commands = st.builds(
    objects.CommandFrame, id=request_ids, do=names, args=raws, key=st.none() | keys
)
client_frames: st.SearchStrategy[objects.ClientFrame] = st.one_of(
    client_hellos,
    commands,
    st.builds(objects.Ping, n=int63),
    st.builds(objects.Pong, n=int63),
    st.builds(objects.ClientBye),
)

identities = st.builds(
    objects.IdentityStatement,
    key=st.binary(min_size=32, max_size=32),
    expires=int63,
    signature=st.binary(min_size=64, max_size=64),
)
server_hellos = st.builds(
    objects.ServerHello,
    version=st.just(1),
    server=text,
    name=text,
    now=int63,
    identity=identities,
    registration=text,
    features=st.lists(text, max_size=4),
    limits=st.dictionaries(text, int63, max_size=4),
)
oks = st.builds(objects.Ok, id=request_ids, body=raws)
errors = st.builds(
    objects.Error,
    code=codes,
    text=text,
    id=st.just(0) | request_ids,
    field=st.none() | text,
    retry_after=st.none() | seconds,
)
events = st.builds(objects.EventFrame, name=names, body=raws)
server_frames: st.SearchStrategy[objects.ServerFrame] = st.one_of(
    server_hellos,
    oks,
    errors,
    events,
    st.builds(objects.ServerPing, n=int63),
    st.builds(objects.ServerPong, n=int63),
    st.builds(objects.ServerBye, code=codes, text=text),
)


@st.composite
def chunkings(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """Draw a way in which a network could cut these bytes into chunks, empty ones included."""
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=12)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@st.composite
def mutations(draw: st.DrawFn, data: bytes) -> bytes:
    """Draw damage to these bytes: a few flipped, put in, left out or repeated."""
    damaged = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(damaged)))
        piece = draw(st.binary(max_size=4) | st.sampled_from(NASTY))
        match draw(st.sampled_from(("replace", "insert", "delete", "repeat"))):
            case "replace":
                damaged[at : at + len(piece)] = piece
            case "insert":
                damaged[at:at] = piece
            case "delete":
                del damaged[at : at + draw(st.integers(1, 8))]
            case "repeat":
                damaged[at:at] = damaged[at : at + draw(st.integers(1, 40))]
    return bytes(damaged)


NASTY = (
    b"\xc1",  # begins no value
    b"\xdf\xff\xff\xff\xff",  # four billion pairs
    b"\xdd\xff\xff\xff\xff",  # four billion items
    b"\xc6\xff\xff\xff\xff",  # four billion bytes
    b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",  # 2^64 - 1
    b"\xcb\x7f\xf8\0\0\0\0\0\0",  # NaN
    b"\xca\x7f\x80\0\0",  # infinity
    b"\xd6\xff\0\0\0\0",  # a timestamp
    b"\xc7\x00\x05",  # an extension without content
    b"\xa3\xed\xa0\x80",  # a surrogate
    b"\x91" * 20,  # deep
    b"\xa1t",  # the tag once more
)
