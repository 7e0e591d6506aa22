"""Encrypted rooms: labels and holds, invitations and codes, changed messages, typing, searching."""

import pytest

from lairchat.client import effects as e
from lairchat.client import effects_sealed as es
from lairchat.client import inputs as i
from lairchat.client import inputs_sealed as s
from lairchat.client.boot import has_blocks
from tests.client.scenes import HELD, NOON, attic, held, in_lobby, said, secret

LABELS = ["PLAIN", "E2E", "E2E+", "E2E!", "E2E?"]


# -- labels ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize(("width", "height"), [(120, 40), (80, 24), (40, 12)])
def test_the_label_stands_in_title_prompt_and_list(label: str, width: int, height: int) -> None:
    person = attic(width, height)
    person.link(i.RoomChanged(7, label=label))
    lines = person.screen().split("\n")
    assert f" {label} " in lines[0] + " "
    prompt = next(line for line in lines if line.startswith("["))
    assert f"{label}]" in prompt
    assert ("!" in prompt.replace("E2E!", "")) is (label == "PLAIN")
    if width > 60:
        assert any(line.startswith("> #attic") and label in line[:27] for line in lines)


@pytest.mark.parametrize(("width", "height"), [(120, 40), (80, 24), (40, 12)])
def test_why_a_room_is_held_stands_above_the_status_line(width: int, height: int) -> None:
    lines = held(width, height).screen().split("\n")
    status = next(n for n, line in enumerate(lines) if "F1 help" in line)
    above = " ".join(" ".join(lines[status - 3 : status]).split())
    assert "bob's identity changed since 3 Nov." in above
    assert "/verify bob" in above


def test_without_room_for_it_the_title_says_why() -> None:
    for width, words in ((80, "bob's identity"), (40, "E2E! bob's identity")):
        person = held(width, 6)
        person.key("alt-enter")
        assert words in person.screen().split("\n")[0]


def test_in_a_held_room_the_text_stays_with_the_reason() -> None:
    person = held()
    assert person.key("enter") == []
    assert person.note == HELD
    assert person.input == "this waits"
    person.link(i.RoomChanged(7, label="E2E", hold=""))
    assert any(isinstance(one, e.Send) for one in person.key("enter"))


def test_a_held_room_says_what_to_do_even_if_the_cause_is_not_known() -> None:
    person = in_lobby()
    person.link(i.RoomChanged(1, label="E2E!"))
    person.enter("hello")
    assert person.sent() == []
    assert "/reconnect" in person.note


@pytest.mark.parametrize("typed", ["/me waves", "/msg bob hi", "hi"])
def test_no_way_of_sending_goes_around_a_hold(typed: str) -> None:
    person = in_lobby()
    person.link(
        i.RoomJoined(i.RoomInfo(5, "bob", direct=True, label="E2E!", hold="held. /trust bob"))
    )
    person.enter(typed)
    assert person.sent() == []
    assert person.input == typed


def test_a_failed_message_is_not_sent_again_into_a_held_room() -> None:
    person = in_lobby()
    person.enter("hi")
    ticket = person.last(e.Send).ticket
    person.link(i.SendRefused(ticket, "LC-X", "no"), i.RoomChanged(1, label="E2E!", hold="held."))
    person.key("ctrl-up")
    assert person.types("x") == []
    assert person.note == "held."


def test_a_conversation_that_opens_held_keeps_what_was_typed_for_it() -> None:
    person = in_lobby()
    (ask,) = person.enter("/msg bob are you there?")
    person.link(
        i.RoomJoined(
            i.RoomInfo(5, "bob", direct=True, label="E2E!", hold="held. /trust bob"), ref=ask.ref
        )
    )
    assert person.sent() == []
    assert person.input == "are you there?"


def test_text_is_queued_while_keys_are_fetched() -> None:
    person = in_lobby()
    person.link(i.RoomChanged(1, label="E2E?", hold="keys of bob are being fetched"))
    person.enter("hello")
    assert person.sent() == ["hello"]


@pytest.mark.parametrize("direct", [True, False])
def test_conversations_from_before_encryption_are_read_only(direct: bool) -> None:
    person = in_lobby()
    person.link(s.StoreOpened())
    old = i.RoomInfo(5, "bob", direct=direct, access="private", label="PLAIN")
    person.link(i.RoomJoined(old))
    assert "made before encryption" in person.screen()
    person.enter("hello")
    assert person.sent() == []
    assert "/succeed" in person.note
    person.key("ctrl-u")
    (succeed,) = person.enter("/succeed")
    assert isinstance(succeed, es.Succeed)
    assert succeed.room == 5


def test_public_rooms_stay_what_they_are() -> None:
    person = in_lobby()
    person.link(s.StoreOpened())
    person.enter("hello")
    assert person.sent() == ["hello"]
    person.enter("/succeed")
    assert "public" in person.note


# -- coming in ---------------------------------------------------------------------------------------


def test_an_invitation_is_told_and_stands_in_the_list() -> None:
    person = attic()
    person.link(s.Invited("carol\x1b[2J"), s.Invited("dave"), s.Invited("dave"))
    assert "/accept dave" in person.note
    page = person.screen()
    assert "Invites" in page
    assert page.count("from dave") == 1
    (accept,) = person.enter("/accept dave")
    assert isinstance(accept, es.AcceptInvite)
    assert accept.name == "dave"
    assert "from dave" not in person.screen()


def test_the_only_invitation_needs_no_name() -> None:
    person = in_lobby()
    person.link(s.Invited("carol"))
    (decline,) = person.enter("/decline")
    assert isinstance(decline, es.DeclineInvite)
    assert decline.name == "carol"
    person.enter("/accept")
    assert "NAME is missing" in person.note


def test_invitations_are_listed_and_bounded() -> None:
    person = in_lobby()
    person.link(*(s.Invited(f"user{n}") for n in range(200)))
    assert len(person.state.invites) == 50
    (ask,) = person.enter("/invitations")
    person.link(s.InvitesListed((s.Invite("carol", NOON), s.Invite("carol", 0)), ask.ref))
    assert person.state.invites == ["carol"]
    assert "carol                  2026-11-22" in person.screen()
    again = in_lobby()
    (ask,) = again.enter("/invitations")
    again.link(s.InvitesListed((), ask.ref))
    assert "nobody invites you" in again.screen()


CODE = "-".join(["abcdefg"] * 6)


@pytest.mark.parametrize(
    "typed", [CODE, CODE.replace("-", " "), CODE.replace("-", ""), CODE.upper()]
)
def test_a_code_leads_into_a_room(typed: str) -> None:
    (join,) = in_lobby().enter(f"/join {typed}")
    assert isinstance(join, es.JoinByCode)
    assert join.code.lower() == "abcdefg" * 6


@pytest.mark.parametrize("typed", ["/join #" + "a" * 42, "/join ops now", "/join " + "\u00e4" * 42])
def test_what_is_no_code_is_none(typed: str) -> None:
    assert not any(isinstance(one, es.JoinByCode) for one in in_lobby().enter(typed))


def test_a_code_is_made_for_an_encrypted_room() -> None:
    person = secret()
    (make,) = person.enter("/code 3")
    assert isinstance(make, es.MakeCode)
    assert (make.room, make.uses) == (7, 3)
    person.link(s.CodeMade(CODE, "for 3 people, 7 days", make.ref))
    page = person.screen()
    assert CODE in page
    assert "in person, by phone or by another messenger" in page
    person.wait()
    assert person.types("c") == [e.Copy(CODE)]
    person.key("esc")
    (end,) = person.enter("/code off")
    assert isinstance(end, es.EndCode)


@pytest.mark.parametrize("uses", ["0", "-1", "1001", "many", "\u0663"])
def test_a_code_is_for_some_people(uses: str) -> None:
    person = secret()
    assert person.enter(f"/code {uses}") == []
    assert "how many people" in person.note


@pytest.mark.parametrize("typed", ["/code", "/edit #90 x", "/delete #90", "/react +1", "+:tada:"])
def test_what_is_for_encrypted_rooms_says_so_elsewhere(typed: str) -> None:
    person = attic()
    assert person.enter(typed) == []
    assert "for encrypted rooms" in person.note
    assert person.input == typed


def test_a_held_room_is_founded_anew_after_a_question() -> None:
    person = held()
    person.key("ctrl-u")
    assert person.enter("/refound") == []
    (refound,) = person.types("y")
    assert isinstance(refound, es.Refound)
    assert refound.room == 7
    well = secret()
    well.enter("/refound")
    assert "not held" in well.note


# -- messages ----------------------------------------------------------------------------------------


def test_a_message_changes_in_its_place() -> None:
    person = secret()
    before = person.screen()
    reactions = (("+1", 3, False), ("\x1b[2J", 1, True))
    person.link(
        s.MessageChanged(7, i.Message(96, NOON, "bob", "thank you!", edited=1, reactions=reactions))
    )
    page = person.screen()
    assert "thank you! (edited)" in page
    assert "+1 x3" in page
    assert "\x1b" not in page
    assert len(before.split("\n")) == len(page.split("\n"))


def test_a_deleted_message_is_a_statement_and_not_selected_any_more() -> None:
    person = secret()
    person.key("ctrl-up", "ctrl-up")
    person.link(s.MessageChanged(7, i.Message(98, NOON, "carol", "", "gone")))
    assert "message deleted" in person.screen()
    assert person.state.selected is None


def test_what_is_not_loaded_does_not_change() -> None:
    person = secret()
    orders = [item.order for item in person.room.window.items]
    person.link(
        s.MessageChanged(7, said(5, 0, "bob", "x")), s.MessageChanged(70, said(5, 0, "b", "x"))
    )
    assert [item.order for item in person.room.window.items] == orders


def test_messages_whose_time_is_over_go() -> None:
    person = secret()
    person.key("ctrl-up", "ctrl-up")
    person.link(s.MessagesGone(7, (90, 98, 5)), s.MessagesGone(70, (1,)))
    page = person.screen()
    assert "deploy finished" not in page
    assert "report.pdf" not in page
    assert person.state.selected is None


# -- typing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), [(120, 40), (80, 24), (40, 12)])
def test_who_types_is_told_for_six_seconds(width: int, height: int) -> None:
    person = secret(width, height)
    assert "alice is typing..." in person.screen()
    person.wait(5_900)
    person.link(s.SomebodyTypes(7, "alice", True))
    person.wait(5_900)
    assert "alice is typing..." in person.screen()
    person.wait(200)
    assert "typing" not in person.screen()


def test_several_type_and_stop() -> None:
    person = secret(120, 40)
    person.link(s.SomebodyTypes(7, "bob", True))
    assert "alice, bob are typing..." in person.screen()
    person.link(s.SomebodyTypes(7, "carol", True))
    assert "3 people are typing..." in person.screen()
    person.link(s.SomebodyTypes(7, "bob", False), i.MessageArrived(7, said(100, 7, "carol", "hi")))
    assert "alice is typing..." in person.screen()
    person.link(s.SomebodyTypes(70, "bob", True))


def test_those_who_type_are_bounded_and_forgotten() -> None:
    person = secret()
    person.link(*(s.SomebodyTypes(7, f"user{n}", True) for n in range(200)))
    assert len(person.room.typing) == 50
    person.wait(7_000)
    person.link(s.SomebodyTypes(7, "bob", True))
    assert list(person.room.typing) == ["bob"]


def test_typing_is_told_at_most_every_four_seconds() -> None:
    person = secret()
    assert person.types("h") == [es.Typing(7, True)]
    person.wait(3_900)
    assert person.types("i") == []
    assert person.key("left") == []
    person.wait(100)
    assert person.types("!") == [es.Typing(7, True)]
    assert person.key("ctrl-c")[-1] == es.Typing(7, False)
    assert person.types("again") == [es.Typing(7, True)]
    sent = person.key("enter")
    assert isinstance(sent[0], e.Send)
    assert sent[1:] == [es.Typing(7, False)]


@pytest.mark.parametrize("label", ["PLAIN", "E2E!", "E2E?"])
def test_typing_is_told_where_the_next_message_is_encrypted(label: str) -> None:
    person = secret()
    person.link(i.RoomChanged(7, label=label))
    assert person.types("hello") == []


def test_typing_is_not_told_of_commands_offline_or_when_switched_off() -> None:
    person = secret()
    assert person.types("/leave #attic") == []
    person.key("ctrl-u")
    assert person.types("hello") == [es.Typing(7, True)]
    person.key("home")
    assert person.types("/") == [es.Typing(7, False)]
    person.key("ctrl-u", "ctrl-k")
    person.enter("/set typing off")
    assert person.types("hello") == []
    person.key("ctrl-u")
    person.enter("/set typing on")
    person.link(i.Disconnected("LC-NET-LOST", "lost", 1.0))
    assert person.types("hello") == []


# -- searching ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "text", "room"),
    [
        ("/search backup job #ops", "backup job", 3),
        ("/search backup", "backup", 0),
        ("/search #ops", "#ops", 0),
        ("/search job #nowhere", "job #nowhere", 0),
        ("/search job @bob", "job", 5),
    ],
)
def test_searching_names_words_and_perhaps_a_room(typed: str, text: str, room: int) -> None:
    (search,) = attic().enter(typed)
    assert isinstance(search, es.Search)
    assert (search.text, search.room) == (text, room)


def test_what_was_found_is_a_page_newest_first() -> None:
    person = attic()
    (search,) = person.enter("/search backup")
    person.link(
        s.Found(
            (
                (3, i.Message(2, NOON, "bob", "the \x1b[2Jbackup\nran")),
                (70, i.Message(1, 0, "eve", "backup")),
            ),
            search.ref,
        )
    )
    lines = [line for line in person.screen().split("\n") if "backup" in line]
    assert "2026-11-22 12:00  #ops #2  bob  the" in lines[0]
    assert "(left) 70 #1  eve  backup" in lines[1]
    person.link(s.Found((), 99))
    assert len(person.state.dialogs) == 1


def test_nothing_found_says_so() -> None:
    person = attic()
    (search,) = person.enter("/search backup")
    person.link(s.Found((), search.ref))
    assert "nothing on this device" in person.screen()


# -- places on the screen ----------------------------------------------------------------------------


def test_when_the_last_visible_message_goes_the_one_above_it_stays_last() -> None:
    person = in_lobby(60, 10)
    page = tuple(said(n, n, "bob", f"line {n}") for n in range(1, 31))
    person.link(i.HistoryPage(1, page, older=False, replace=True))
    person.key("pgup")
    anchor = person.room.scroll
    assert anchor is not None
    seq = anchor[0][0]
    person.link(s.MessagesGone(1, (seq, seq - 1)))
    shown = [line for line in person.screen().split("\n") if "line " in line]
    assert f"line {seq - 2} " in shown[-1] + " "
    person.link(s.MessagesGone(1, tuple(range(1, seq))))
    assert person.room.scroll is None


def test_a_page_scrolls_with_the_space_bar() -> None:
    person = held()
    person.link(s.Comparing(1, "bob", words=tuple(f"word{n}" for n in range(200)), numbers=("1",)))
    person.wait()
    before = person.screen()
    assert person.types(" ") == []
    assert person.screen() != before
    assert person.types("z") == []


def test_a_page_to_read_is_closed_with_q_too() -> None:
    person = in_lobby()
    (ask,) = person.enter("/invitations")
    person.link(s.InvitesListed((), ask.ref))
    person.types("q")
    assert person.state.dialogs == []


def test_help_says_what_the_letters_of_a_page_do() -> None:
    person = secret()
    person.link(s.Comparing(1, "bob", words=("dog",), numbers=("1",)))
    person.wait()
    person.key("f1")
    page = person.screen()
    assert "differ" in page
    assert "stop" in page


def test_what_was_typed_for_a_held_room_gives_way_to_its_draft() -> None:
    person = in_lobby()
    person.link(i.RoomJoined(i.RoomInfo(5, "bob", direct=True, label="E2E", hold=""), show=False))
    person.state.rooms[5].editor.set("a draft")
    person.state.chain[77] = "are you there?"
    person.link(i.RoomJoined(i.RoomInfo(5, "bob", direct=True, label="E2E!", hold="held."), ref=77))
    assert person.input == "a draft"
    assert "are you there?" in person.state.history.entries


def test_an_encrypted_room_needs_no_successor() -> None:
    person = secret()
    person.enter("/succeed")
    assert "encrypted already" in person.note


@pytest.mark.parametrize(
    ("encoding", "blocks"),
    [("utf-8", True), ("cp437", True), ("ascii", False), ("latin-1", False), ("no such", False)],
)
def test_half_blocks_are_used_where_the_terminal_has_them(encoding: str, blocks: bool) -> None:
    assert has_blocks(encoding) is blocks


def test_what_waits_goes_before_who_types_where_there_is_little_room() -> None:
    person = secret(40, 12)
    person.enter("still going")
    page = person.screen()
    assert "1 queued" in page
    assert "typing" not in page
