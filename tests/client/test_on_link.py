"""What the link reports: connection, rooms, people, answers."""

from lairchat.client import effects as e
from lairchat.client import inputs as i
from lairchat.client import inputs_sealed as s
from lairchat.client.dialogs import Form
from lairchat.client.on_link import LINK
from tests.client.scenes import (
    connected,
    in_lobby,
    said,
)


def test_every_event_of_the_link_has_somebody_who_applies_it() -> None:
    terminal = {i.Key, i.Text, i.Paste, i.Resize, i.Focus, i.Tick}
    every = {
        cls
        for module in (i, s)
        for cls in vars(module).values()
        if isinstance(cls, type) and issubclass(cls, i.Input)
    }
    assert set(LINK) == every - terminal - {i.Input}


# -- answers -----------------------------------------------------------------------------------------


def test_an_invite_link_is_shown() -> None:
    person = in_lobby()
    (ask,) = person.enter("/invite")
    person.link(
        i.InviteCreated("lair://lair.example:7023/i/CODE?id=AB", "works once, for 7 days", ask.ref)
    )
    person.wait()
    page = person.screen()
    assert "lair://lair.example:7023/i/CODE?id=AB" in page
    assert "works once" in page
    assert "c copy" in page
    assert person.types("c") == [e.Copy("lair://lair.example:7023/i/CODE?id=AB")]
    assert "copied" in person.screen()
    person.key("esc")
    assert "lair://" not in person.screen()
    person.link(i.InviteCreated("lair://x"))


def test_answers_to_commands() -> None:
    person = in_lobby()
    (ask,) = person.enter("/kick bob")
    person.link(i.CommandDone(ask.ref, "bob was removed"))
    assert person.note == "bob was removed"
    person.link(i.CommandDone(ask.ref), i.CommandDone(99))
    assert person.state.pending == {}
    person.link(i.CommandFailed(99, "LC-X", "no"))
    assert "LC-X  no" in person.note


def test_an_answer_to_another_command_leaves_a_form_open() -> None:
    person = in_lobby()
    (ask,) = person.enter("/kick bob")
    person.enter("/password")
    person.link(i.CommandDone(ask.ref), i.CommandFailed(0, "LC-X", "no"))
    assert isinstance(person.state.dialog, Form)


def test_notices_with_and_without_a_code() -> None:
    person = in_lobby()
    person.link(i.Notice("the server restarts in 5 min"))
    assert person.note == "the server restarts in 5 min"
    person.link(i.Notice("certificate renewed", "LC-TLS-NEW"))
    assert person.note == "LC-TLS-NEW  certificate renewed"
    person.wait(13_000)
    assert person.note == ""


def test_settings_come_back() -> None:
    person = in_lobby()
    person.link(
        i.SettingsLoaded(
            (
                ("bell", "off"),
                ("members", "off"),
                ("gone", "1"),
                ("keys.f9", "repaint"),
                ("keys.f8", "gone"),
            )
        )
    )
    assert not person.state.settings.bell
    assert person.state.keymap["f9"] == "repaint"
    assert "f8" not in person.state.keymap
    assert person.key("f9") == [e.Repaint()]


def test_hostile_names_are_made_safe_wherever_they_enter() -> None:
    evil = "ev\x1b]0;x\x07il\u202e"
    person = connected()
    person.link(
        i.Connecting(evil, 1),
        i.RoomsSynced((i.RoomInfo(1, evil, topic=evil, role=evil, label=evil),)),
        i.HistoryPage(
            1,
            (i.Message(1, 0, evil, evil), i.Message(2, 0, evil, evil, "state")),
            older=False,
            replace=True,
        ),
        i.MembersListed(1, (i.Member(evil, evil, True),)),
        i.MessageArrived(1, said(3, 0, evil, evil)),
    )
    for width, height in ((40, 12), (80, 24), (120, 40)):
        page = person.screen(width, height)
        assert not any(c in page for c in "\x1b\x07\u202e")


def test_what_was_fetched_ends_without_a_word_when_one_leaves() -> None:
    person = in_lobby()
    (ask,) = person.enter("/kick bob")
    person.state.note = None
    person.state.quitting = True
    person.link(i.CommandFailed(0, "LC-BYE", "goodbye"))
    assert "LC-BYE" not in person.screen()
    person.link(i.CommandFailed(ask.ref, "LC-BYE", "goodbye"))
    assert "LC-BYE" in person.screen(), "what was typed has not been done"
