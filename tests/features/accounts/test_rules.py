"""The pure decisions of the accounts feature."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.features.accounts.rules import (
    FREE,
    NO_ATTEMPTS,
    Attempts,
    Invitation,
    Registration,
    Standing,
    attempt_keys,
    delay_after,
    failed,
    hashed_code,
    idle_before,
    is_idle,
    remembered,
    role_of_newcomer,
    standing,
    take_apart,
    taken_back,
    wait_of,
)
from lairchat.model import limits
from lairchat.model.refusals import InviteBad, RegistrationClosed
from lairchat.model.roles import ServerRole

NOW = 1_800_000_000_000
DAY_MS = limits.DAY * 1000
LONGEST = limits.LOGIN_DELAY_SECONDS_MAX * 1000

free = st.integers(1, 50)
failures = st.integers(0, 10**9)
times = st.integers(0, 2**53)
counts = st.builds(Attempts, failures, times, times)


# -- failed logins


def test_five_failures_cost_nothing_and_then_delays_double_up_to_a_quarter_of_an_hour():
    delays = [delay_after(n, limits.LOGIN_FAILURES_FREE) // 1000 for n in range(15)]
    assert delays == [0, 0, 0, 0, 0, 5, 10, 20, 40, 80, 160, 320, 640, 900, 900]


@given(failures, failures, free)
def test_delays_never_shrink_with_failures_and_are_bounded(fewer, more, free_of_charge):
    fewer, more = sorted((fewer, more))
    short, long = delay_after(fewer, free_of_charge), delay_after(more, free_of_charge)
    assert 0 <= short <= long <= LONGEST
    assert (long == 0) == (more < free_of_charge)


@given(counts, times, free)
def test_a_failure_is_counted_and_waited_for(kept, now, free_of_charge):
    after = failed(kept, now, free_of_charge)
    assert after.failures == kept.failures + 1
    assert wait_of(after, now) == delay_after(after.failures, free_of_charge)
    assert wait_of(after, after.until) == 0


@given(counts, times)
def test_nobody_waits_for_a_time_beyond_the_end_of_the_delay(kept, now):
    assert wait_of(kept, now) == (max(0, kept.until - now) if kept.last <= now else 0)


@given(st.integers(1, 100), times, st.integers(1, 10 * 365 * DAY_MS), free)
def test_a_clock_that_was_set_back_keeps_the_count_but_nobody_waits_for_years(
    count, now, jump, free_of_charge
):
    kept = Attempts(count, now + jump, now + jump + LONGEST)
    assert wait_of(kept, now) == 0
    after = failed(remembered(kept, now), now, free_of_charge)
    assert after.failures == count + 1
    assert wait_of(after, now) <= LONGEST


@given(counts, times)
def test_failures_are_forgotten_after_a_day_of_peace_and_not_before(kept, now):
    expected = NO_ATTEMPTS if now - kept.last >= DAY_MS else kept
    assert remembered(kept, now) == expected


@given(counts, times, free)
def test_a_guess_that_was_not_judged_is_taken_back(kept, now, free_of_charge):
    back = taken_back(failed(kept, now, free_of_charge), free_of_charge)
    assert back.failures == kept.failures
    if delay_after(kept.failures, free_of_charge) == 0:
        assert back.until == 0


def test_taking_back_more_than_was_counted_is_harmless():
    assert taken_back(NO_ATTEMPTS, 5).failures == 0


@given(free, st.lists(st.integers(0, LONGEST), max_size=200))
def test_however_a_guesser_times_it_few_guesses_are_judged(free_of_charge, pauses):
    """security.md: 10,000 guesses, at most 30 evaluated per account (in half an hour)."""
    kept, now, judged = NO_ATTEMPTS, NOW, 0
    for pause in pauses:
        now += pause
        if now - NOW > 30 * 60_000:
            break
        if wait_of(remembered(kept, now), now) == 0:
            kept = failed(remembered(kept, now), now, free_of_charge)
            judged += 1
    assert judged <= free_of_charge + 9


def test_the_free_guesses_of_an_account_and_the_delays_after_them_stay_under_thirty():
    kept, judged = NO_ATTEMPTS, 0
    for second in range(30 * 60):
        now = NOW + second * 1000
        if wait_of(kept, now) == 0:
            kept = failed(kept, now, FREE[1])
            judged += 1
    assert judged < 30


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_logins_are_counted_together_only_by_name_and_by_source(name, source, other, elsewhere):
    pair, account = attempt_keys(name, source)
    assert len(pair) == len(account) == 32
    assert pair != account
    other_pair, other_account = attempt_keys(other, elsewhere)
    assert (account == other_account) == (name == other)
    assert (pair == other_pair) == (name == other and source == elsewhere)


# -- registering


WORKS = Invitation(ServerRole.USER, uses=1, expires=NOW + 1)
OWNERS = Invitation(ServerRole.OWNER, uses=1, expires=NOW + 1)
SPENT = Invitation(ServerRole.USER, uses=0, expires=NOW + 1)
EXPIRED = Invitation(ServerRole.USER, uses=1, expires=NOW)


@pytest.mark.parametrize(
    ("mode", "coded", "invitation", "outcome"),
    [
        (Registration.OPEN, False, None, ServerRole.USER),
        (Registration.INVITE, False, None, RegistrationClosed),
        (Registration.CLOSED, False, None, RegistrationClosed),
        (Registration.OPEN, True, WORKS, ServerRole.USER),
        (Registration.INVITE, True, WORKS, ServerRole.USER),
        (Registration.CLOSED, True, WORKS, RegistrationClosed),
        (Registration.OPEN, True, OWNERS, ServerRole.OWNER),
        (Registration.INVITE, True, OWNERS, ServerRole.OWNER),
        (Registration.CLOSED, True, OWNERS, ServerRole.OWNER),
        *[(mode, True, bad, InviteBad) for mode in Registration for bad in (None, SPENT, EXPIRED)],
    ],
)
def test_who_may_register(mode, coded, invitation, outcome):
    def decide():
        return role_of_newcomer(mode, coded=coded, invitation=invitation, now=NOW)

    if isinstance(outcome, ServerRole):
        assert decide() is outcome
    else:
        with pytest.raises(outcome):
            decide()


def test_the_names_of_the_modes_are_those_of_the_configuration():
    assert [str(mode) for mode in Registration] == ["open", "invite", "closed"]


def test_of_an_invite_code_a_hash_is_kept():
    assert hashed_code("0" * 26) == hashlib.sha256(b"0" * 26).digest()


# -- sessions


def test_a_token_is_found_by_its_first_half_and_proven_by_the_hash_of_the_second():
    token = bytes(range(48))
    assert take_apart(token) == (token[:16], hashlib.sha256(token[16:]).digest())


digests = st.binary(min_size=32, max_size=32)


@given(digests, digests, digests)
def test_only_the_last_two_tokens_are_good(current, following, other):
    assert standing(current, current, following) is Standing.CURRENT
    if following != current:
        assert standing(following, current, following) is Standing.NEXT
    if other not in {current, following}:
        assert standing(other, current, following) is Standing.COPIED


@given(digests)
def test_without_a_next_token_only_the_current_one_is_good(current):
    other = bytes([current[0] ^ 1]) + current[1:]
    assert standing(other, current, None) is Standing.COPIED


def test_a_digest_of_zeros_is_not_taken_for_a_token_that_was_never_given_out():
    assert standing(bytes(32), b"\1" * 32, None) is Standing.COPIED


def test_a_session_is_over_after_ninety_days_without_use():
    assert not is_idle(NOW - 90 * DAY_MS, NOW)
    assert is_idle(NOW - 90 * DAY_MS - 1, NOW)
    assert idle_before(NOW) == NOW - 90 * DAY_MS
