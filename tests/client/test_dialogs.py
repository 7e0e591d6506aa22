"""Dialogs: when they take keys, and what a form asks for."""

import pytest

from lairchat.client.dialogs import ARMED_AFTER, Dialog, Field, Form, Page


def test_a_dialog_that_was_asked_for_takes_keys_at_once() -> None:
    assert Dialog().armed(0)
    assert Page("Help", []).armed(0)


def test_a_dialog_that_came_by_itself_waits() -> None:
    dialog = Dialog(1_000)
    assert not dialog.armed(1_000 + ARMED_AFTER - 1)
    assert dialog.armed(1_000 + ARMED_AFTER)


def account(mode: int, registration: str) -> Form:
    choice = Field("mode", "Account", "choice", (("login", "log in"), ("register", "create")))
    choice.choice = mode
    form = Form(
        "account",
        [
            choice,
            Field("name", "Name"),
            Field("invite", "Invite"),
            Field("pw", "Password", "secret"),
        ],
    )
    form.registration = registration
    return form


@pytest.mark.parametrize(
    ("mode", "registration", "asks"),
    [(0, "invite", False), (1, "invite", True), (1, "open", False), (0, "open", False)],
)
def test_an_invite_is_asked_for_where_one_is_needed(
    mode: int, registration: str, asks: bool
) -> None:
    form = account(mode, registration)
    assert ("invite" in [field.name for field in form.visible]) == asks
    form.focus = 99
    assert form.current.name == "pw"


def test_answers() -> None:
    form = account(1, "invite")
    name, secret = form.fields[1], form.fields[3]
    assert name.empty
    assert secret.empty
    name.editor.set("  bob ")
    secret.secret.append("x")
    assert form.value("name") == "bob"
    assert not secret.empty
    assert not form.fields[0].empty
    assert secret.value == ""
    assert form.value("no such field") == ""
    form.clear_secrets()
    assert secret.empty
