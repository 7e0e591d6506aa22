"""The bounds are plain numbers, the ones that were promised, and fit one another."""

import pytest

from lairchat.model import limits

NAMES = sorted(name for name in vars(limits) if name.isupper())


@pytest.mark.parametrize("name", NAMES)
def test_every_limit_is_a_positive_plain_int(name):
    assert type(getattr(limits, name)) is int
    assert getattr(limits, name) > 0


@pytest.mark.parametrize(
    ("name", "promised"),
    [
        ("FRAME_GREETING_BYTES", 16_384),
        ("FRAME_BYTES", 65_536),
        ("MESSAGE_CHARS", 4_096),
        ("MESSAGE_BYTES", 16_384),
        ("TOPIC_CHARS", 200),
        ("LABEL_CHARS", 40),
        ("NAME_CHARS_MIN", 3),
        ("NAME_CHARS_MAX", 32),
        ("ROOM_NAME_CHARS_MIN", 1),
        ("ROOM_NAME_CHARS_MAX", 32),
        ("ROOMS_JOINED", 200),
        ("COMMANDS_IN_FLIGHT", 64),
        ("HISTORY_PAGE", 100),
        ("ANSWERS_KEPT_SECONDS", 604_800),
        ("COMMAND_ID_SKEW_SECONDS", 3_600),
        ("OUTBOX_BYTES", 524_288),
        ("HANDSHAKE_SECONDS", 10),
        ("AUTHENTICATION_SECONDS", 30),
        ("PING_SECONDS", 60),
        ("IDLE_SECONDS", 150),
        ("LOGIN_FAILURES_FREE", 5),
        ("LOGIN_DELAY_SECONDS_MAX", 900),
        ("PREAUTH_PER_ADDRESS", 16),
        ("UNAUTHENTICATED_PER_ADDRESS", 32),
        ("UNAUTHENTICATED_WINDOW_SECONDS", 600),
        ("SEND_BURST", 10),
        ("SEND_PER_SECOND", 5),
        ("INVITE_SECONDS", 604_800),
        ("OWNER_LINK_SECONDS", 86_400),
        ("SESSION_IDLE_SECONDS", 7_776_000),
        ("BLOB_QUOTA_BYTES", 67_108_864),
        ("BLOB_CHUNK_BYTES", 49_152),
        ("BLOB_BYTES", 16_777_216),
        ("MEMBERS_PAGE", 200),
        ("ROOMS_PAGE", 100),
        ("BANS_PER_ROOM", 1_000),
        ("STOP_SECONDS", 5),
    ],
)
def test_the_floors_of_the_security_design_are_kept(name, promised):
    assert getattr(limits, name) == promised


def test_what_must_fit_into_something_fits():
    assert limits.MESSAGE_CHARS * 4 <= limits.MESSAGE_BYTES < limits.FRAME_BYTES
    assert limits.BLOB_CHUNK_BYTES < limits.FRAME_BYTES
    assert limits.BLOB_BYTES <= limits.BLOB_QUOTA_BYTES
    assert limits.FRAME_BYTES < limits.OUTBOX_BYTES
    assert limits.HISTORY_PAGE_DEFAULT <= limits.HISTORY_PAGE
    assert 2 * limits.PING_SECONDS < limits.IDLE_SECONDS
    assert limits.HANDSHAKE_SECONDS < limits.AUTHENTICATION_SECONDS
    assert limits.COMMAND_ID_SKEW_SECONDS < limits.ANSWERS_KEPT_SECONDS
