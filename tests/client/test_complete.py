"""Tab completes names, rooms, commands and their arguments; again: the next choice."""

import pytest

from lairchat.client.complete import choices_at
from tests.client.scenes import attic, in_lobby


@pytest.mark.parametrize(
    ("typed", "becomes"),
    [
        ("/he", "/help "),
        ("/HE", "/help "),
        ("@al", "@alice "),
        ("hello bo", "hello @bob "),
        ("ca", "@carol "),
        ("see #to", "see #tor "),
        ("/join #at", "/join #attic "),
        ("/join at", "/join #attic "),
        ("/kick @da", "/kick dave "),
        ("/role bob mod", "/role bob moderator "),
        ("/role bob x", "/role bob x"),
        ("/new den pr", "/new den private "),
        ("/set be", "/set bell "),
        ("/set bell of", "/set bell off "),
        ("/help jo", "/help join "),
        ("/layout mem", "/layout members "),
        ("/logout a", "/logout all "),
        ("/goto un", "/goto unread "),
        ("/msg ali", "/msg alice "),
        ("/topic ali", "/topic @alice "),
        ("/nonsense ali", "/nonsense @alice "),
        ("//us", "//us"),
        ("zzz", "zzz"),
        ("", ""),
        ("/new d", "/new d"),
    ],
)
def test_a_single_choice_is_taken(typed: str, becomes: str) -> None:
    person = attic()
    person.types(typed)
    person.key("tab")
    assert person.input == becomes


def test_several_choices_are_listed_and_then_cycled_both_ways() -> None:
    person = attic()
    person.types("/ro")
    person.key("tab")
    assert person.input == "/ro"
    assert "/rooms  /roomcode  /role" in person.screen()
    person.key("tab")
    assert person.input == "/rooms"
    assert "[/rooms]" in person.screen()
    person.key("tab")
    assert person.input == "/roomcode"
    person.key("shift-tab")
    assert person.input == "/rooms"
    person.types(" ")
    assert person.state.completion is None


def test_shift_tab_first_takes_the_last_choice() -> None:
    person = attic()
    person.types("/ro")
    person.key("tab", "shift-tab", "shift-tab")
    assert person.input == "/roomcode"


def test_the_common_beginning_is_filled_in() -> None:
    person = attic()
    person.types("/l")
    person.key("tab")
    assert person.input == "/l"
    person.types("ea")
    person.key("tab")
    assert person.input == "/leave "
    person.key("ctrl-u")
    person.types("/p")
    person.key("tab")
    assert person.input == "/p"
    person.types("la")
    person.key("tab")
    assert person.input == "/plain "


def test_a_shared_prefix_grows() -> None:
    person = attic()
    from lairchat.client.inputs import Member, MembersListed

    person.link(MembersListed(7, (Member("albert"), Member("albrecht"), Member("alba"))))
    person.types("hi a")
    person.key("tab")
    assert person.input == "hi @alb"
    person.key("tab")
    assert person.input == "hi @alba"


def test_completing_inside_a_text_adds_no_second_blank() -> None:
    person = attic()
    person.types("@al are you there")
    person.room.editor.at = 3
    person.key("tab")
    assert person.input == "@alice are you there"


def test_our_own_name_is_no_choice() -> None:
    person = attic()
    assert "@you" not in choices_at(person.state, "@y", 2)[1]
    assert choices_at(in_lobby().state, "@", 1) == (0, [])


def test_a_word_behind_a_line_feed_is_a_word() -> None:
    person = attic()
    person.types("first line")
    person.key("alt-enter")
    person.types("al")
    person.key("tab")
    assert person.input == "first line\n@alice "
