"""Codes match when nobody is in between, and not when somebody is; there is one try."""

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lairchat.trust.errors import PinError, VerificationError
from lairchat.trust.pins import compared, first_sight
from lairchat.trust.secret import SecretBytes
from lairchat.trust.short_code import (
    Answer,
    Message,
    Offer,
    Party,
    Purpose,
    Reveal,
    Start,
    Stop,
    code,
    commitment,
)
from lairchat.trust.verification import State, Verdict, Verification
from tests.trust.people import seed
from tests.trust.test_short_code import party

ALICE, BOB, MALLORY = party("alice"), party("bob"), party("mallory")
# What a server that wants to stand in between shows of either to the other.
FAKE_ALICE, FAKE_BOB = party("fake-alice"), party("fake-bob")
NEW_DEVICE = party("alice", 2)
SESSION = seed("session")[:16]
STOP = Stop(SESSION)


def nonce(*what: object) -> SecretBytes:
    return SecretBytes(seed("nonce", *what))


def begun(
    mine: Party = ALICE, purpose: Purpose = Purpose.PERSON, of: str = "alice"
) -> tuple[Verification, Start]:
    return Verification.begin(purpose, mine, SESSION, nonce(of))


def joined(
    start: Start, mine: Party = BOB, purpose: Purpose = Purpose.PERSON, of: str = "bob"
) -> tuple[Verification, Answer]:
    return Verification.join(purpose, mine, start, nonce(of))


def comparing(
    one: Party = ALICE, other: Party = BOB, purpose: Purpose = Purpose.PERSON
) -> tuple[Verification, Verification]:
    """Bring both sides to where the people compare."""
    alice, start = begun(one, purpose)
    bob, answer = joined(start, other, purpose)
    alice, reveal = alice.receive(answer)
    bob, nothing = bob.receive(reveal)
    assert nothing is None
    return alice, bob


def refused(side: Verification, message: Message, why: str) -> None:
    """Expect a message to end the comparison for good."""
    over, sent = side.receive(message)
    assert (over.state, over.code, sent) == (State.FAILED, None, STOP)
    assert why in over.why
    for more in (message, STOP, Reveal(SESSION, nonce("alice").reveal())):
        with pytest.raises(VerificationError, match="is over"):
            over.receive(more)
    with pytest.raises(VerificationError, match="is over"):
        over.say(Verdict.SAME)
    with pytest.raises(VerificationError, match="nobody has said"):
        _ = over.agreed


# -- nobody in between ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "purpose"),
    [(ALICE, BOB, Purpose.PERSON), (BOB, ALICE, Purpose.PERSON), (ALICE, NEW_DEVICE, Purpose.LINK)],
)
def test_both_see_the_same_code_and_are_sure_of_each_other(one, other, purpose):
    left, right = comparing(one, other, purpose)
    assert left.state is right.state is State.COMPARING
    assert left.code is not None
    assert left.code == right.code
    left, _ = left.say(Verdict.SAME)
    right, _ = right.say(Verdict.SAME)
    assert (left.agreed, right.agreed) == (other, one)


def test_nobody_is_sure_before_somebody_says_so():
    for side in (*comparing(), begun()[0]):
        with pytest.raises(VerificationError, match="nobody has said"):
            _ = side.agreed


def test_different_codes_end_it_on_both_sides():
    alice, bob = comparing()
    alice, stop = alice.say(Verdict.DIFFERENT)
    assert alice.state is State.FAILED
    assert "somebody may stand in between" in alice.why
    bob, nothing = bob.receive(stop)
    assert (bob.state, nothing) == (State.FAILED, None)
    with pytest.raises(VerificationError, match="is over"):
        bob.say(Verdict.SAME)


def test_either_can_stop_at_any_time():
    alice, start = begun()
    bob, _ = joined(start)
    for side in (alice, bob, *comparing()):
        over, sent = side.cancel()
        assert (over.state, sent) == (State.FAILED, STOP)
        with pytest.raises(VerificationError, match="is over"):
            over.cancel()
        assert side.receive(STOP)[0].why == "the other side has stopped"


def test_there_is_nothing_to_say_before_there_is_a_code():
    with pytest.raises(VerificationError, match="no code to compare yet"):
        begun()[0].say(Verdict.SAME)


# -- one try, in one order -----------------------------------------------------------------------


def test_a_second_answer_ends_it():
    # With a second answer the server could look for one whose code fits.
    alice, _ = comparing()
    refused(alice, Answer(SESSION, BOB, nonce("again").reveal()), "out of turn")
    refused(alice, Answer(SESSION, BOB, nonce("bob").reveal()), "out of turn")


def test_a_second_reveal_ends_it():
    _, bob = comparing()
    refused(bob, Reveal(SESSION, nonce("alice").reveal()), "out of turn")


def test_a_second_start_ends_it():
    alice, start = begun()
    bob, _ = joined(start)
    for side in (alice, bob, *comparing()):
        refused(side, start, "out of turn")


def test_a_reveal_to_whom_has_committed_ends_it():
    alice, _ = begun()
    refused(alice, Reveal(SESSION, nonce("bob").reveal()), "out of turn")


def test_an_answer_to_whom_has_answered_ends_it():
    bob, answer = joined(begun()[1])
    refused(bob, answer, "out of turn")


def test_nothing_is_taken_after_both_agreed():
    alice, bob = comparing()
    for side in (alice, bob):
        agreed, _ = side.say(Verdict.SAME)
        for message in (STOP, Reveal(SESSION, bytes(32))):
            with pytest.raises(VerificationError, match="is over"):
                agreed.receive(message)
        with pytest.raises(VerificationError, match="is over"):
            agreed.say(Verdict.DIFFERENT)


def test_a_message_of_another_session_changes_nothing():
    alice, start = begun()
    other = seed("other")[:16]
    for message in (
        Answer(other, BOB, bytes(32)),
        Stop(other),
        Reveal(other, bytes(32)),
        replace(start, offer=replace(start.offer, session=other)),
    ):
        with pytest.raises(VerificationError, match="another comparison"):
            alice.receive(message)
    assert alice.state is State.STARTED


@given(
    st.lists(st.sampled_from(["start", "answer", "reveal", "stop", "same", "cancel"]), max_size=6)
)
def test_in_no_order_does_anybody_agree_without_three_messages(steps):
    alice, start = begun()
    _, answer = joined(start)
    sent = {
        "start": start,
        "answer": answer,
        "reveal": Reveal(SESSION, nonce("alice").reveal()),
        "stop": STOP,
    }
    for first, needed in ((alice, ["answer", "same"]), (joined(start)[0], ["reveal", "same"])):
        side = first
        with suppress(VerificationError):
            for step in steps:
                if step in sent:
                    side, _ = side.receive(sent[step])
                else:
                    side, _ = side.say(Verdict.SAME) if step == "same" else side.cancel()
        if side.state is State.AGREED:
            assert steps[:2] == needed


# -- reflection ----------------------------------------------------------------------------------


def test_a_start_that_comes_back_is_not_answered():
    _, start = begun()
    with pytest.raises(VerificationError, match="this device itself"):
        joined(start, ALICE, of="alice again")


@pytest.mark.parametrize(
    ("echo", "why"),
    [
        (ALICE, "this device itself"),
        (replace(ALICE, device=BOB.device), "this device itself"),  # our key under another id
        (replace(ALICE, key=BOB.key), "this device itself"),
        (replace(BOB, account=ALICE.account), "this same account"),
    ],
)
def test_an_answer_that_comes_back_is_refused(echo, why):
    alice, _ = begun()
    refused(alice, Answer(SESSION, echo, nonce("bob").reveal()), why)
    start = replace(begun()[1], offer=Offer(SESSION, Purpose.PERSON, echo))
    with pytest.raises(VerificationError, match=why):
        joined(start, ALICE)


def test_a_nonce_that_comes_back_is_refused():
    # A commitment to the answerer's own nonce is impossible but for who could guess it.
    start = begun(of="bob")[1]
    bob, answer = joined(start)
    refused(bob, Reveal(SESSION, answer.nonce), "our own number back")


def test_a_comparison_counts_for_its_purpose():
    _, person = begun()
    with pytest.raises(VerificationError, match="another purpose"):
        joined(person, BOB, Purpose.LINK)
    _, link = begun(ALICE, Purpose.LINK)
    with pytest.raises(VerificationError, match="another purpose"):
        joined(link, NEW_DEVICE, Purpose.PERSON)
    with pytest.raises(VerificationError, match="another purpose"):
        joined(replace(link, offer=replace(link.offer, purpose=9)), NEW_DEVICE, Purpose.LINK)
    with pytest.raises(VerificationError, match="another account"):
        joined(link, BOB, Purpose.LINK)
    alice, _ = begun(ALICE, Purpose.LINK)
    refused(alice, Answer(SESSION, BOB, nonce("bob").reveal()), "another account")


# -- somebody in between -------------------------------------------------------------------------


def test_a_changed_commitment_does_not_open():
    _, start = begun()
    bob, _ = joined(replace(start, commitment=bytes(32)))
    refused(bob, Reveal(SESSION, nonce("alice").reveal()), "changed its number")


def test_a_nonce_chosen_after_the_other_does_not_open():
    bob, _ = joined(begun()[1])
    refused(bob, Reveal(SESSION, nonce("chosen late").reveal()), "changed its number")


def test_a_party_put_in_place_of_another_does_not_open():
    _, start = begun()
    swapped = replace(start, offer=replace(start.offer, party=FAKE_ALICE))
    bob, _ = joined(swapped)
    refused(bob, Reveal(SESSION, nonce("alice").reveal()), "changed its number")


def middle(attempt: object) -> tuple[Verification, Verification]:
    """Stand between both, as well as one can: be Bob to Alice, and Alice to Bob."""
    alice, start = Verification.begin(Purpose.PERSON, ALICE, SESSION, nonce("alice", attempt))
    # Towards Bob one has to commit before Alice has opened her nonce, which is why it cannot be
    # chosen so that the codes agree.
    offer = Offer(SESSION, Purpose.PERSON, FAKE_ALICE)
    own = nonce("mallory", attempt)
    bob, answer = Verification.join(
        Purpose.PERSON, BOB, Start(offer, commitment(offer, own)), nonce("bob", attempt)
    )
    assert start.commitment != commitment(offer, own)
    # Towards Alice one has to answer before she opens hers.
    alice, _reveal = alice.receive(Answer(SESSION, FAKE_BOB, answer.nonce))
    bob, _ = bob.receive(Reveal(SESSION, own.reveal()))
    return alice, bob


def test_somebody_in_between_makes_the_codes_differ():
    alice, bob = middle("once")
    assert alice.state is bob.state is State.COMPARING
    assert alice.code is not None
    assert bob.code is not None
    assert not set(alice.code.words) & set(bob.code.words)
    assert alice.code.numbers != bob.code.numbers


def test_a_middle_gets_one_try_and_its_luck_is_that_of_a_guess():
    # Seen by the first word only, which is 11 bits of the 117: 1 match in 2,048 is expected, so
    # about 2 in 4,096 tries; more than 12 would have a probability below 1e-6.
    tries = 4_096
    matches = 0
    for attempt in range(tries):
        alice, bob = middle(attempt)
        assert alice.code is not None
        assert bob.code is not None
        matches += alice.code.words[0] == bob.code.words[0]
    assert matches <= 12


def test_without_the_commitment_it_would_need_no_luck():
    # Why there is one: who knows Alice's nonce before choosing looks for one that fits.
    alice, bob = middle("once")
    assert bob.code is not None
    start = alice.start
    for guess in range(100_000):
        answer = Answer(SESSION, FAKE_BOB, seed("guess", guess))
        if code(start, answer, nonce("alice", "once")).words[0] == bob.code.words[0]:
            break
    else:
        pytest.fail("a search over 11 bits found nothing")


def test_a_result_counts_for_the_account_that_was_compared():
    # Alice compared with whom the server showed, while the pin is about somebody else.
    alice, _ = comparing(ALICE, FAKE_BOB)
    alice, _ = alice.say(Verdict.SAME)
    with pytest.raises(PinError, match="not an account seen"):
        compared(first_sight("bob", BOB.account), alice.agreed.account)
    assert compared(first_sight("bob", FAKE_BOB.account), alice.agreed.account).verified


# -- hygiene -------------------------------------------------------------------------------------


@given(st.binary(min_size=32, max_size=32))
@settings(max_examples=20)
def test_a_nonce_is_not_shown_before_it_is_revealed(secret):
    alice, start = Verification.begin(Purpose.PERSON, ALICE, SESSION, SecretBytes(secret))
    for shown in (repr(alice), repr(start), str(alice)):
        assert secret.hex() not in shown
        assert repr(secret)[2:-1] not in shown


@pytest.mark.parametrize(("session", "size"), [(b"", 32), (bytes(15), 32), (bytes(16), 31)])
def test_other_sizes_are_a_misuse(session, size):
    with pytest.raises(ValueError, match="16 random bytes, a nonce 32"):
        Verification.begin(Purpose.PERSON, ALICE, session, SecretBytes(bytes(size)))
    _, start = begun()
    with pytest.raises(ValueError, match="16 random bytes, a nonce 32"):
        Verification.join(Purpose.PERSON, BOB, start, SecretBytes(bytes(31)))


def test_a_step_changes_no_value_that_somebody_holds():
    alice, start = begun()
    _, answer = joined(start)
    alice.receive(answer)
    assert (alice.state, alice.code) == (State.STARTED, None)
