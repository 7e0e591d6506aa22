"""The code depends on everything that two sides said, and on their roles."""

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.mls.codec import decode
from lairchat.mls.errors import MalformedError, MisuseError
from lairchat.model.identity import word_list
from lairchat.trust.secret import SecretBytes
from lairchat.trust.short_code import (
    MESSAGE,
    Answer,
    Code,
    Offer,
    Party,
    Purpose,
    Reveal,
    Start,
    Stop,
    code,
    commitment,
)
from tests.trust.people import Account, device, seed


def party(name: str, number: int = 1) -> Party:
    own = device(name, number)
    return Party(Account(name).log.account, own.id, own.key)


NONCE, OTHER_NONCE = SecretBytes(seed("alice's nonce")), SecretBytes(seed("bob's nonce"))
OFFER = Offer(seed("session")[:16], Purpose.PERSON, party("alice"))
START = Start(OFFER, commitment(OFFER, NONCE))
ANSWER = Answer(OFFER.session, party("bob"), OTHER_NONCE.reveal())
CODE = code(START, ANSWER, NONCE)
b16, b32 = (st.binary(min_size=size, max_size=size) for size in (16, 32))
parties = st.builds(Party, b32, b16, b32)
messages = (
    st.builds(Start, st.builds(Offer, b16, st.integers(0, 255), parties), b32)
    | st.builds(Answer, b16, parties, b32)
    | st.builds(Reveal, b16, b32)
    | st.builds(Stop, b16)
)


def test_it_has_seven_words_and_three_numbers():
    assert len(CODE.words) == 7
    assert set(CODE.words) <= set(word_list())
    assert len(CODE.numbers) == 3
    assert all(len(number) == 4 and number.isdecimal() for number in CODE.numbers)


@given(b32)
def test_numbers_are_four_digits_always(nonce):
    shown = code(START, ANSWER, SecretBytes(nonce))
    assert all(len(number) == 4 and number.isdecimal() for number in shown.numbers)


def test_words_and_numbers_are_spread_evenly():
    # 2,000 codes: each word position sees many words, each number's first digit all ten.
    shown = [code(START, ANSWER, SecretBytes(seed(number))) for number in range(2_000)]
    for place in range(7):
        assert len({each.words[place] for each in shown}) > 1_100  # 2048 * (1 - e^-0.98) = 1,277
    for place in range(3):
        first = [each.numbers[place][0] for each in shown]
        assert min(first.count(digit) for digit in "0123456789") > 130  # of 200 expected


def other_codes() -> list[Code]:
    """Change one thing at a time in what both sides said."""
    offers = [
        replace(OFFER, session=bytes(16)),
        replace(OFFER, purpose=Purpose.LINK),
        replace(OFFER, party=replace(OFFER.party, account=bytes(32))),
        replace(OFFER, party=replace(OFFER.party, device=bytes(16))),
        replace(OFFER, party=replace(OFFER.party, key=bytes(32))),
    ]
    answers = [
        replace(ANSWER, party=replace(ANSWER.party, account=bytes(32))),
        replace(ANSWER, party=replace(ANSWER.party, device=bytes(16))),
        replace(ANSWER, party=replace(ANSWER.party, key=bytes(32))),
        replace(ANSWER, nonce=bytes(32)),
    ]
    found = [code(replace(START, offer=offer), ANSWER, NONCE) for offer in offers]
    found += [code(START, answer, NONCE) for answer in answers]
    found.append(code(replace(START, commitment=bytes(32)), ANSWER, NONCE))
    found.append(code(START, ANSWER, SecretBytes(bytes(32))))
    # The roles exchanged: who started is a part of it.
    swapped = Start(replace(OFFER, party=ANSWER.party), START.commitment)
    found.append(code(swapped, Answer(OFFER.session, OFFER.party, NONCE.reveal()), OTHER_NONCE))
    return found


def test_everything_that_was_said_is_in_the_code():
    others = other_codes()
    assert len({CODE, *others}) == len(others) + 1
    for other in others:
        # No part of it is the same but by chance: 1 in 2,048 for a word, 1 in 10,000 for a number.
        same = sum(a == b for a, b in zip(CODE.words, other.words, strict=True))
        same += sum(a == b for a, b in zip(CODE.numbers, other.numbers, strict=True))
        assert same <= 1


def test_a_commitment_is_to_one_nonce_in_one_offer():
    others = {
        commitment(OFFER, OTHER_NONCE),
        commitment(replace(OFFER, session=bytes(16)), NONCE),
        commitment(replace(OFFER, purpose=Purpose.LINK), NONCE),
        commitment(replace(OFFER, party=party("mallory")), NONCE),
    }
    assert len(others | {START.commitment}) == 5


@given(messages)
def test_messages_are_read_as_written(message):
    assert decode(MESSAGE, MESSAGE.write(message)) == message


@given(messages, st.data())
def test_cut_short_they_are_malformed(message, data):
    whole = MESSAGE.write(message)
    with pytest.raises(MalformedError):
        decode(MESSAGE, whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(MalformedError):
        decode(MESSAGE, whole + b"\0")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_malformed(data):
    with suppress(MalformedError):
        assert MESSAGE.write(decode(MESSAGE, data)) == data


def test_there_is_no_start_without_a_commitment():
    with pytest.raises(MisuseError):
        Start(OFFER, b"").encode()
    with pytest.raises(MalformedError):
        decode(MESSAGE, b"\1" + OFFER.encode())
