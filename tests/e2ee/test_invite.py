"""Codes let friends in, and nobody else, into the right room."""

import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.e2ee.invite import Admission, Code, Request, admit, ask, check, check_admission
from lairchat.mls.errors import InvalidError, MalformedError, MLSError
from lairchat.mls.joining import join
from lairchat.mls.messages import Welcome, decode_message
from lairchat.mls.objects import Add
from lairchat.model import limits
from tests.trust.rooms import Person, Room

CODE = Code(b"locator!", b"sixteen secrets!")
ACCOUNT = b"a" * 32
PACKAGES = [b"p" * 48, b"q" * 48]


def test_a_code_survives_people() -> None:
    text = CODE.text()
    assert all(len(group) == 7 for group in text.split("-")[:-1])
    for typed in (text, text.upper(), text.replace("-", " "), f"  {text}\n", text.replace("-", "")):
        assert Code.read(typed) == CODE
    for code in (Code.new(os.urandom) for _ in range(50)):
        read_aloud = code.text().replace("o", "0").replace("l", "1").replace("b", "8")
        assert Code.read(read_aloud) == code


def test_its_repr_hides_the_secret() -> None:
    assert "secret" not in repr(CODE)


@given(st.integers(0, 50), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_a_wrong_letter_is_noticed(place: int, letter: str) -> None:
    text = CODE.text()
    place %= len(text)
    wrong = text[:place] + letter + text[place + 1 :]
    if wrong == text or text[place] == "-":
        return
    # Sixteen bits of check: one in 65,536 is not, and none of these.
    with pytest.raises(MalformedError):
        Code.read(wrong)


@pytest.mark.parametrize(
    "text", ["", "-", "hello", "\u00e9" * 42, "a" * 41, "a" * 500, "\x00" * 42]
)
def test_what_is_no_code_is_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        Code.read(text)


def test_who_has_the_code_is_known_by_the_request() -> None:
    data = ask(CODE, ACCOUNT, PACKAGES)
    request = check(CODE, data)
    assert (request.account, request.packages) == (ACCOUNT, tuple(PACKAGES))
    assert CODE.secret not in data


@pytest.mark.parametrize(
    "other",
    [Code(CODE.locator, b"another secret!!"), Code(b"elsewher", CODE.secret)],
)
def test_who_has_another_code_is_not(other: Code) -> None:
    with pytest.raises(InvalidError):
        check(CODE, ask(other, ACCOUNT, PACKAGES))


def test_the_server_cannot_put_itself_into_a_request() -> None:
    request = Request.decode(ask(CODE, ACCOUNT, PACKAGES))
    for forged in (
        replace(request, account=b"s" * 32),
        replace(request, packages=(b"s" * 48,)),
        replace(request, packages=(*request.packages, b"s" * 48)),
        # Moved between the fields, which are of one length together.
        replace(request, packages=request.packages[::-1]),
    ):
        with pytest.raises(InvalidError, match="does not have the code"):
            check(CODE, forged.encode())


@pytest.mark.parametrize("count", [0, limits.LOG_DEVICES + 1])
def test_a_request_is_for_the_devices_of_one_account(count: int) -> None:
    with pytest.raises(InvalidError, match="one account"):
        check(CODE, ask(CODE, ACCOUNT, [bytes([number]) * 48 for number in range(count)]))
    most = [bytes([number]) * 48 for number in range(limits.LOG_DEVICES)]
    assert check(CODE, ask(CODE, ACCOUNT, most)).packages == tuple(most)


def test_the_whole_way_in_and_a_fake_room_beside_it() -> None:
    alice, bob = Person("alice"), Person("bob")
    package = bob.package()
    asked = ask(CODE, bob.id, [package.reference])
    # The real room: alice's client checks, adds and answers.
    room = Room(alice)
    request = check(CODE, asked)
    committed = room.group(alice).commit(
        os.urandom, proposals=[Add(package.package)], with_tree=True
    )
    answer = admit(CODE, request, committed.group)
    assert committed.welcome is not None
    welcome = decode_message(committed.welcome)
    assert isinstance(welcome, Welcome)
    joined = join(welcome, package)
    check_admission(CODE, asked, answer, joined)
    # The server's room: it has no code, so it can only use answers that it has seen.
    mallory = Person("mallory")
    fake = mallory.found().commit(os.urandom, proposals=[Add(package.package)], with_tree=True)
    assert fake.welcome is not None
    lure = decode_message(fake.welcome)
    assert isinstance(lure, Welcome)
    trapped = join(lure, package)
    guessed = admit(Code(CODE.locator, bytes(16)), request, trapped)
    moved = replace(
        Admission.decode(answer),
        group_id=trapped.context.group_id,
        epoch=trapped.context.epoch,
        transcript=trapped.context.confirmed_transcript_hash,
    ).encode()
    for forged in (answer, guessed, moved):
        with pytest.raises(InvalidError):
            check_admission(CODE, asked, forged, trapped)
    # An answer to somebody else's request does not do for this one.
    other = check(CODE, ask(CODE, mallory.id, [package.reference]))
    with pytest.raises(InvalidError, match="nobody who has the code"):
        check_admission(CODE, asked, admit(CODE, other, joined), joined)


@given(st.binary(max_size=200))
def test_garbage_raises_the_librarys_error(data: bytes) -> None:
    with pytest.raises(MLSError):
        check(CODE, data)
