"""Secrets are neither printed nor kept."""

from hypothesis import given
from hypothesis import strategies as st

from lairchat.client.effects import Login, Register
from lairchat.client.secret import Secret, Trace


def test_its_text_is_in_no_representation() -> None:
    secret = Secret("hunter2")
    effect = Login("alice", secret)
    register = Register("alice", secret, "CODE")
    for shown in (repr(secret), str(secret), f"{secret}", repr(effect), repr(register)):
        assert "hunter2" not in shown
    assert secret.reveal() == "hunter2"


@given(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.text(st.characters(exclude_categories=["Cs"])),
)
def test_typing_and_taking_back(first: str, more: str) -> None:
    secret = Secret(first)
    secret.append(more)
    assert secret.reveal() == first + more
    assert len(secret) == len(first + more)
    for _ in more:
        secret.backspace()
    assert secret.reveal() == first


def test_backspace_on_nothing() -> None:
    secret = Secret()
    secret.backspace()
    assert secret.reveal() == ""


def test_clearing_overwrites_the_buffer() -> None:
    secret = Secret("hunter2")
    data = secret._data
    held = memoryview(bytes(data))
    secret.clear()
    assert held == b"hunter2"
    assert secret.reveal() == ""


def test_taking_moves_it_and_leaves_nothing_behind() -> None:
    secret = Secret("hunter2")
    taken = secret.take()
    assert taken.reveal() == "hunter2"
    assert len(secret) == 0


def test_a_trace_recognises_the_password_in_a_message() -> None:
    trace = Trace(Secret("hunter2"), b"k" * 32)
    assert trace.matches("hunter2")
    assert trace.matches("  hunter2 \nsecond line")
    assert not trace.matches("hunter2 is my password")
    assert not trace.matches("")
    assert "hunter2" not in repr(trace)
