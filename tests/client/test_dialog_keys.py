"""Dialogs take their own keys; help, repaint and suspend work everywhere."""

import pytest

from lairchat.client import effects as e
from lairchat.client import inputs as i
from lairchat.client.dialogs import Dialog, Page
from lairchat.client.update import update
from tests.client.scenes import SCENES, attic, helping, quitting, registering, trusting

OVER = ("helping", "quitting", "registering", "switching", "trusting", "changed")


@pytest.mark.parametrize("scene", OVER)
def test_help_repaint_and_suspend_work_everywhere(scene: str) -> None:
    person = SCENES[scene]()
    assert person.key("ctrl-l") == [e.Repaint()]
    assert person.key("ctrl-z") == [e.Suspend()]
    person.key("f1")
    top = person.state.dialog
    assert isinstance(top, Page)
    assert top.title == "Help"
    person.key("esc", "ctrl-x")
    person.types("?")
    assert isinstance(person.state.dialog, Page)


@pytest.mark.parametrize("scene", OVER)
def test_no_letter_reaches_the_input_behind(scene: str) -> None:
    person = SCENES[scene]()
    before = person.input
    person.types("z")
    assert person.input == before


def test_a_question_is_no_for_everything_but_y() -> None:
    for letter in ("n", "x", " "):
        person = quitting()
        assert person.types(letter) == []
        assert person.state.dialogs == []
    person = quitting()
    assert person.key("esc") == []
    assert person.state.dialogs == []
    person = quitting()
    assert person.key("pgup") == []
    assert person.state.dialogs != []
    assert person.types("Y") == [e.Quit()]


def test_a_paste_answers_no_question() -> None:
    person = quitting()
    assert person.link(i.Paste("y")) == []
    assert person.input == "y"


def test_ctrl_c_closes_a_page() -> None:
    person = helping()
    person.key("ctrl-c")
    assert person.state.dialog is None


def test_f2_outside_a_secret_changes_nothing_visible() -> None:
    person = registering()
    person.key("up")
    person.key("f2", "f2")
    assert "correct horse" not in person.screen()


def test_a_dialog_that_nobody_knows_is_left_alone() -> None:
    person = attic()
    person.state.dialogs.append(Dialog())
    assert person.types("x") == []
    assert person.key("enter") == []
    assert person.key("esc") == []
    assert person.state.dialogs == []


def test_an_unknown_input_changes_nothing() -> None:
    assert update(trusting().state, i.Input()) == []
