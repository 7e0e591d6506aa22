"""Who is who: comparing short codes with somebody, safety numbers, changed identities."""

import pytest

from lairchat.client import effects_sealed as es
from lairchat.client import inputs as i
from lairchat.client import inputs_sealed as s
from lairchat.client.dialogs import Question
from lairchat.client.screen import Terminal
from lairchat.model import limits
from tests.client.scenes import (
    NUMBER,
    OTHER_NUMBER,
    SEVEN,
    attic,
    identities,
    identity,
    in_lobby,
    qr,
    secret,
    verifying,
)

# -- comparing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("letter", "same"), [("y", True), ("n", False)])
def test_one_letter_says_whether_the_codes_are_the_same(letter: str, same: bool) -> None:
    assert verifying().types(letter) == [es.Verdict(1, same)]


def test_waiting_can_be_stopped() -> None:
    person = in_lobby()
    (ask,) = person.enter("/verify @bob")
    assert isinstance(ask, es.VerifyPerson)
    assert ask.name == "bob"
    person.link(s.Comparing(1, "bob", ref=ask.ref))
    person.wait()
    assert person.types("y") == []
    assert person.key("esc") == [es.CancelComparison(1)]
    assert person.state.dialogs == []


def test_keys_typed_when_the_codes_came_say_nothing() -> None:
    person = in_lobby()
    person.link(s.Comparing(1, "bob"))
    person.wait()
    person.link(s.Comparing(1, "bob", words=SEVEN, numbers=("1", "2", "3")))
    assert person.types("y") == []
    person.wait()
    assert person.types("y") == [es.Verdict(1, True)]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 12)])
def test_all_words_and_numbers_are_on_the_screen(width: int, height: int) -> None:
    page = " ".join(verifying(width, height).screen().split())
    assert all(f"{n} {word}" in page for n, word in enumerate(SEVEN, 1))
    assert all(number in page for number in ("4071", "8836", "1502"))


def test_codes_that_differ_are_an_alarm_at_once() -> None:
    person = verifying()
    person.types("n")
    assert "Somebody may stand between you and bob" in person.screen()
    person.link(s.ComparisonEnded(1, False, "the codes differed", differed=True))
    assert len(person.state.dialogs) == 1


def test_codes_that_differ_for_the_other_side_are_an_alarm_too() -> None:
    person = verifying()
    person.types("y")
    person.link(s.ComparisonEnded(1, False, "bob saw other codes", differed=True))
    assert "bob saw other codes" in person.screen()
    assert "compare once more, slowly" in person.screen()


@pytest.mark.parametrize(("same", "text"), [(True, "bob is verified"), (False, "bob is not here")])
def test_the_end_of_a_comparison_is_told(same: bool, text: str) -> None:
    person = verifying()
    person.link(s.ComparisonEnded(1, same, text))
    assert person.state.dialogs == []
    assert person.note == text
    assert person.state.note is not None
    assert person.state.note.error is not same


@pytest.mark.parametrize(("answer", "agree"), [("y", True), ("n", False), ("esc", False)])
def test_who_wants_to_compare_is_asked_for(answer: str, agree: bool) -> None:
    person = in_lobby()
    person.link(s.ComparisonAsked(4, "bob"))
    assert person.types("y") == []  # typed for something else
    person.wait()
    assert "bob wants to compare codes" in person.screen()
    did = person.key("esc") if answer == "esc" else person.types(answer)
    assert did == [es.AnswerComparison(4, agree)]


def test_a_new_device_of_ours_is_asked_for_differently() -> None:
    person = in_lobby()
    person.link(s.ComparisonAsked(4, "old\x1b]0;x\x07 laptop", link=True))
    page = person.screen()
    assert "wants to be one of yours" in " ".join(page.replace("|", " ").split())
    assert "\x1b" not in page


def test_a_question_that_is_over_is_taken_away_and_its_answer_not_sent() -> None:
    person = in_lobby()
    person.link(s.ComparisonAsked(4, "bob"))
    person.wait()
    person.link(s.ComparisonEnded(4, False, "bob gave up"))
    assert person.state.dialogs == []
    person.types("y")
    person.key("enter")
    assert person.sent() == []


def test_questions_do_not_bury_the_screen() -> None:
    person = in_lobby()
    turned_down = person.link(*(s.ComparisonAsked(n, "mallory") for n in range(20)))
    assert len(person.state.dialogs) == 3
    assert turned_down == [es.AnswerComparison(n, False) for n in range(3, 20)]


def test_a_question_is_asked_once() -> None:
    person = in_lobby()
    assert person.link(s.ComparisonAsked(4, "bob"), s.ComparisonAsked(4, "bob")) == []
    assert len(person.state.dialogs) == 1


# -- safety numbers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", ["/fingerprint bob", "/identity @bob", "/trust bob"])
def test_all_three_names_show_the_same_page(typed: str) -> None:
    (ask,) = in_lobby().enter(typed)
    assert isinstance(ask, es.ShowIdentity)
    assert ask.name == "bob"


def test_the_number_is_in_twelve_groups_of_five() -> None:
    person = attic(80, 40)
    (ask,) = person.enter("/trust bob")
    person.link(s.IdentityShown("bob", "first sight", NUMBER, (), ref=ask.ref))
    assert " ".join(NUMBER) in " ".join(person.screen().split())


def test_the_same_number_marks_somebody_compared_after_a_question() -> None:
    person = identity()
    assert person.types("y") == []
    assert isinstance(person.state.dialog, Question)
    (mark,) = person.types("y")
    assert isinstance(mark, es.MarkCompared)
    assert (mark.name, mark.number.split()) == ("bob", list(NUMBER))
    assert person.link(i.CommandDone(mark.ref, "bob is verified")) == []
    assert person.note == "bob is verified"


def test_of_a_changed_identity_the_new_number_is_compared() -> None:
    person = identities()
    assert "ANOTHER identity" in person.screen()
    person.types("y")
    (mark,) = person.types("y")
    assert isinstance(mark, es.MarkCompared)
    assert mark.number.split() == list(OTHER_NUMBER)


def test_a_changed_identity_is_accepted_after_a_question() -> None:
    person = identities()
    person.types("a")
    assert person.types("n") == []
    again = identities()
    again.types("a")
    (accept,) = again.types("y")
    assert isinstance(accept, es.AcceptIdentity)
    assert accept.number.split() == list(OTHER_NUMBER)


def test_an_identity_that_did_not_change_has_nothing_to_accept() -> None:
    person = identity()
    assert person.types("a") == []
    assert len(person.state.dialogs) == 1


def test_an_identity_that_nobody_asked_for_is_not_shown() -> None:
    person = in_lobby()
    person.link(s.IdentityShown("bob", "compared", NUMBER, qr(), ref=99))
    assert person.state.dialogs == []


def test_those_who_came_unseen_are_taken_in_after_a_question() -> None:
    person = secret()
    (ask,) = person.enter("/trust")
    room = person.state.current
    assert ask == es.ListNewcomers(ask.ref, room)
    assert person.link(s.NewcomersListed(room, ("carol", "da\x1bve"), ask.ref)) == []
    page = person.screen()
    assert "into #attic: carol," in page
    assert "\x1b" not in page
    early = person.types("y")
    assert not any(isinstance(one, es.AcceptNewcomers) for one in early), "typed before it was read"
    person.wait()
    (taken,) = person.types("y")
    # What came is what is meant, whatever of it can be shown.
    assert taken == es.AcceptNewcomers(taken.ref, room, ("carol", "da\x1bve"))


def test_nobody_is_taken_in_who_stands_below_the_edge_of_the_screen() -> None:
    """Else an insider adds a dozen whom everybody expects, and one more."""
    person = secret(40, 12)
    person.link(i.RoomChanged(person.state.current, name="r" * limits.ROOM_NAME_CHARS_MAX))
    (ask,) = person.enter("/trust")
    names = tuple(f"{letter}{'o' * (limits.NAME_CHARS_MAX - 1)}" for letter in "abcdefghij")
    person.link(s.NewcomersListed(person.state.current, names, ask.ref))
    taken: list[str] = []
    while person.state.dialogs:
        page = "".join(person.screen().split())
        person.wait()
        (accepted,) = person.types("y")
        assert all(name in page for name in accepted.names)
        assert "belongthere?" in page
        taken += accepted.names
    assert tuple(taken) == names


def test_no_answer_takes_nobody_in() -> None:
    person = secret()
    (ask,) = person.enter("/trust")
    person.link(s.NewcomersListed(person.state.current, ("carol",), ask.ref))
    person.wait()
    assert person.types("n") == []
    assert person.link(s.NewcomersListed(person.state.current, ("carol",), 99)) == []
    assert person.state.dialogs == []


def test_where_everybody_was_seen_coming_there_is_nothing_to_ask() -> None:
    person = secret()
    (ask,) = person.enter("/trust")
    person.link(s.NewcomersListed(person.state.current, (), ask.ref))
    assert "saw everybody come" in " ".join(person.screen().split())
    assert person.state.dialogs == []


def modules(lines: list[str], *, blocks: bool) -> list[str]:
    """Read a drawn code back, light modules being what is filled."""
    if not blocks:
        return [
            "".join("1" if line[x : x + 2] == "  " else "0" for x in range(0, len(line), 2))
            for line in lines
        ]
    rows = []
    for line in lines:
        rows.append("".join("0" if glyph in "\u2588\u2580" else "1" for glyph in line))
        rows.append("".join("0" if glyph in "\u2588\u2584" else "1" for glyph in line))
    return rows


@pytest.mark.parametrize("blocks", [True, False])
def test_the_drawn_code_is_the_code_with_a_light_margin(blocks: bool) -> None:
    from lairchat.client.view_dialogs import MARGIN, qr_rows

    drawn = modules(qr_rows(qr(), blocks=blocks), blocks=blocks)
    inside = tuple(row[MARGIN:-MARGIN] for row in drawn[MARGIN : MARGIN + 33])
    assert inside == qr()
    assert set(drawn[0]) == {"0"}
    assert {row[0] + row[-1] for row in drawn[: 33 + 2 * MARGIN]} == {"00"}


@pytest.mark.parametrize("blocks", [True, False])
def test_the_code_is_light_on_dark_on_every_terminal(blocks: bool) -> None:
    person = attic(120, 60)
    person.state.blocks = blocks
    (ask,) = person.enter("/trust bob")
    person.link(s.IdentityShown("bob", "compared", NUMBER, qr(), ref=ask.ref))
    assert "code" in person.canvas().attrs()
    looks = Terminal("xterm", 1).looks(colour=True)
    assert looks["code"].endswith(b"\x1b[37m\x1b[40m")
    assert b"\x1b[40m" not in looks["normal"]
    assert b"\x1b[40m" not in Terminal("xterm", 1).looks(colour=False)["code"]


@pytest.mark.parametrize(
    ("width", "height", "blocks", "drawn"),
    [
        (80, 24, True, True),
        (80, 24, False, False),
        (80, 41, False, True),
        (40, 24, True, True),
        (36, 24, True, False),
        (80, 21, True, False),
    ],
)
def test_a_code_is_drawn_where_all_of_it_is_seen(
    width: int, height: int, blocks: bool, drawn: bool
) -> None:
    person = attic(width, height)
    person.state.blocks = blocks
    (ask,) = person.enter("/trust bob")
    person.link(s.IdentityShown("bob", "compared", NUMBER, qr(), ref=ask.ref))
    person.key("alt-end")
    page = person.screen()
    assert (("\u2588" if blocks else "####") in page) is drawn
