"""The forms: two answers and Enter; a refusal keeps everything but the password."""

import pytest

from lairchat.client import effects as e
from lairchat.client import inputs as i
from lairchat.client.account import invite_code, strength
from lairchat.client.dialogs import Form, Question
from lairchat.client.secret import Secret
from tests.client.scenes import FINGERPRINT, WORDS, Person, attic, in_lobby, registering, trusting


def form_of(person: Person) -> Form:
    return next(one for one in person.state.dialogs if isinstance(one, Form))


def asked(**given: str) -> Person:
    person = Person()
    person.link(
        i.Connecting("lair.example", 7023), i.Connected(), i.AccountNeeded("lair.example", **given)
    )
    person.wait()
    return person


def test_registering_by_link_takes_two_answers() -> None:
    """Issue 2: registers with two answers."""
    person = asked(mode="register", name="alice", invite="K7QF2M9D")
    person.key("enter")
    person.types("correct horse")
    (register,) = person.key("enter")
    assert isinstance(register, e.Register)
    assert (register.name, register.invite, register.password.reveal()) == (
        "alice",
        "K7QF2M9D",
        "correct horse",
    )
    assert "working" in person.screen()
    assert person.types("ignored while busy") == []
    assert person.key("enter") == []


def test_logging_in() -> None:
    person = asked(name="")
    person.types("bob")
    person.key("enter")
    person.types("secret")
    (login,) = person.key("enter")
    assert isinstance(login, e.Login)
    assert login.name == "bob"
    assert "Invite" not in person.screen()


def test_an_empty_answer_is_named() -> None:
    person = asked()
    person.key("enter")
    assert "Name is empty" in person.screen()
    person.types("bob")
    assert "is empty" not in person.screen()


def test_the_choice_switches_with_space_and_arrows() -> None:
    person = asked(name="bob")
    form = form_of(person)
    person.key("shift-tab")
    assert form.current.name == "mode"
    person.types(" ")
    assert form.value("mode") == "register"
    assert "Invite" in person.screen()
    person.key("left")
    assert form.value("mode") == "login"
    person.key("backspace")
    person.key("right")
    person.types("x")
    assert form.value("mode") == "register"
    person.key("enter")
    assert form.current.name == "invite"


@pytest.mark.parametrize(
    ("registration", "words", "invite"),
    [("open", "create an account", False), ("invite", "create with invite code", True)],
)
def test_what_the_server_allows_is_offered(registration: str, words: str, invite: bool) -> None:
    person = asked(mode="register", registration=registration, name="x")
    assert words in person.screen()
    assert ("Invite" in person.screen()) == invite
    if not invite:
        person.key("enter")
        person.types("a long one")
        (register,) = person.key("enter")
        assert isinstance(register, e.Register)
        assert register.invite == ""


def test_a_closed_server_offers_logging_in_alone() -> None:
    person = asked(mode="register", registration="closed")
    assert "create" not in person.screen()
    assert form_of(person).value("mode") == "login"


def test_a_refusal_keeps_all_but_the_password_and_goes_to_the_field() -> None:
    person = registering()
    person.key("enter")
    form = form_of(person)
    assert form.busy
    person.link(i.AccountRefused("LC-NAME-TAKEN", "the name alice is taken", "name"))
    assert not form.busy
    assert form.current.name == "name"
    assert form.value("name") == "alice"
    assert len(form.fields[3].secret) == 0
    assert "LC-NAME-TAKEN" in person.screen()
    person.link(i.AccountRefused("LC-AUTH-FAILED", "name or password is wrong", "unknown"))
    assert form.current.name == "password"


def test_a_refusal_without_a_form_is_a_notice() -> None:
    person = Person()
    person.link(i.AccountRefused("LC-AUTH-BUSY", "try again"))
    assert "LC-AUTH-BUSY" in person.note


def test_a_second_question_does_not_change_the_form_under_the_fingers() -> None:
    person = registering()
    form = form_of(person)
    person.link(i.Disconnected("LC-NET-LOST", "lost", 1.0))
    assert "LC-NET-LOST" in person.screen()
    person.key("enter")
    assert "not connected yet" in person.screen()
    person.link(i.Connected(), i.AccountNeeded("chat.example.org", "login", "mallory"))
    assert form_of(person) is form
    assert form.value("name") == "alice"
    assert form.value("mode") == "register"
    (register,) = person.key("enter")
    assert isinstance(register, e.Register)


def test_logging_in_closes_the_form_and_clears_its_secrets() -> None:
    person = registering()
    secret = form_of(person).fields[3].secret
    person.link(i.LoggedIn("alice", 2))
    assert person.state.dialogs == []
    assert len(secret) == 0


def test_passwords_are_shown_only_when_asked_for() -> None:
    person = registering()
    assert "correct horse" not in person.screen()
    person.key("f2")
    assert "correct horse battery" in person.screen()
    person.key("f2")
    assert "correct horse" not in person.screen()


def test_editing_a_password_and_a_name() -> None:
    person = registering()
    form = form_of(person)
    person.key("backspace")
    assert form.fields[3].secret.reveal() == "correct horse batter"
    person.key("left", "ctrl-y")
    person.key("ctrl-u")
    assert len(form.fields[3].secret) == 0
    person.key("up", "up")
    assert form.current.name == "name"
    person.key("backspace", "ctrl-a")
    person.types("M")
    person.key("pgup")
    assert form.value("name") == "Malic"


def test_a_paste_into_a_form_answers_one_field_and_nothing_else() -> None:
    person = asked(mode="register", name="alice")
    form = form_of(person)
    person.key("tab")
    person.link(i.Paste("\nlair://h:1/i/K7QF-2M9D?id=7F2A\nsecond line"))
    assert form.value("invite") == "lair://h:1/i/K7QF-2M9D?id=7F2A"
    assert form.current.name == "invite"
    person.key("tab")
    person.link(i.Paste("passphrase\nword"))
    (register,) = person.key("enter")
    assert isinstance(register, e.Register)
    assert register.invite == "K7QF2M9D"
    assert register.password.reveal() == "passphrase"


@pytest.mark.parametrize(
    ("typed", "code"),
    [("k7qf-2m9d", "K7QF2M9D"), (" K7 QF ", "K7QF"), ("lair://h/i/AB?id=1", "AB"), ("", "")],
)
def test_an_invite_code_is_read_in_any_form(typed: str, code: str) -> None:
    assert invite_code(typed) == code


def test_esc_asks_whether_to_quit() -> None:
    for person in (trusting(), registering()):
        person.key("esc")
        assert isinstance(person.state.dialog, Question)
        person.types("n")
        assert not isinstance(person.state.dialog, Question)
        person.key("ctrl-c")
        assert e.Quit() in person.types("y")


def test_trusting_and_not_trusting() -> None:
    person = trusting()
    person.types("f")
    assert FINGERPRINT[-20:] in person.screen().replace("\n", "").replace(" ", "")
    assert WORDS in person.screen()
    person.types("x")
    person.key("enter", "tab")
    assert person.did == []
    assert person.types("q") == [e.TrustAnswer(False), e.Quit()]
    assert trusting().types("T") == [e.TrustAnswer(True)]


def test_keys_typed_before_the_question_came_answer_nothing() -> None:
    """Pitfall 4: a prompt never changes meaning under the fingers."""
    person = Person()
    person.types("wai")
    person.link(i.TrustQuestion("chat.example.org", 7023, WORDS, FINGERPRINT))
    person.types("t this")
    person.key("enter")
    assert person.did == []
    assert person.input == "wait this"
    person.wait(301)
    assert person.types("t") == [e.TrustAnswer(True)]


def test_a_paste_is_no_answer_to_a_question() -> None:
    person = trusting()
    person.link(i.Paste("t"))
    assert person.did == []
    assert "not into the question" in person.note


@pytest.mark.parametrize(
    ("password", "word"),
    [
        ("", ""),
        ("short", "too short"),
        ("aaaaaaaaaaaaaaaa", "too short"),
        ("lowercase", "weak"),
        ("lowercase-1", "good"),
        ("correct horse battery", "strong"),
        ("Tr0ub4dor&3", "good"),
        ("eight88!", "fair"),
    ],
)
def test_strength_is_a_rough_word(password: str, word: str) -> None:
    assert strength(Secret(password)) == word


# -- the change of a password ------------------------------------------------------------------------


def test_the_password_is_changed_by_three_answers() -> None:
    person = in_lobby()
    person.enter("/password")
    person.types("old one")
    person.key("enter")
    person.types("new and long")
    person.key("enter")
    assert "strength" not in person.screen() or "new and long" not in person.screen()
    person.types("new and long")
    (change,) = person.key("enter")
    assert isinstance(change, e.ChangePassword)
    assert (change.old.reveal(), change.new.reveal()) == ("old one", "new and long")
    person.link(i.CommandDone(change.ref, "password changed"))
    assert person.state.dialogs == []
    assert person.note == "password changed"


def test_two_different_new_passwords_are_told() -> None:
    person = in_lobby()
    person.enter("/password")
    for text in ("old one", "new and long", "new and wrong"):
        person.types(text)
        person.key("enter")
    assert "differ" in person.screen()
    assert person.did == []
    person.types("new and long")
    assert len(person.key("enter")) == 1


def test_a_refused_change_is_told_in_the_form() -> None:
    person = in_lobby()
    person.enter("/password")
    for text in ("old one", "new and long", "new and long"):
        person.types(text)
        change = person.key("enter")
    person.link(i.CommandFailed(change[0].ref, "LC-AUTH-FAILED", "the password is wrong"))
    assert "LC-AUTH-FAILED" in person.screen()
    assert not form_of(person).busy
    person.key("esc")
    assert person.state.dialogs == []


def test_a_change_needs_the_server() -> None:
    person = in_lobby()
    person.enter("/password")
    for text in ("old one", "new and long", "new and long"):
        person.types(text)
        if text == "new and long" and form_of(person).focus == 2:
            person.link(i.Disconnected("LC-NET-LOST", "lost", 1.0))
        person.key("enter")
    assert "not connected" in person.screen()
    assert person.did == []


def test_leaving_a_form_clears_what_was_typed() -> None:
    person = in_lobby()
    person.enter("/password")
    person.types("old one")
    secret = form_of(person).fields[0].secret
    person.key("esc")
    assert len(secret) == 0
    assert attic().state.dialogs == []


# -- what is typed for a form never becomes a message ------------------------------------------------


@pytest.mark.parametrize("password", ["short", "seven77", "aaaaaaaaaaaaaaaa"])
def test_a_new_password_that_is_too_short_is_refused_and_emptied(password: str) -> None:
    person = asked(mode="register", name="alice", registration="open")
    person.key("enter")
    person.types(password)
    assert person.key("enter") == []
    assert "too short" in person.screen()
    form = form_of(person)
    assert form.current.name == "password"
    assert form.current.empty
    assert not form.busy
    person.types("correct horse")
    (register,) = person.key("enter")
    assert isinstance(register, e.Register)
    assert register.password.reveal() == "correct horse"


def test_an_old_password_may_be_short_to_log_in() -> None:
    person = asked(name="bob")
    person.key("enter")
    person.types("short")
    (login,) = person.key("enter")
    assert isinstance(login, e.Login)


def test_a_password_is_not_changed_into_one_that_is_too_short() -> None:
    person = in_lobby()
    person.enter("/password")
    for text in ("old one", "new", "new"):
        person.types(text)
        assert person.key("enter") == []
    assert "too short" in person.screen()
    form = form_of(person)
    assert [field.empty for field in form.fields] == [False, True, True]
    assert form.current.name == "new"


def changing() -> Person:
    """Return somebody in the middle of typing a new password."""
    person = in_lobby()
    person.enter("/password")
    person.types("old one")
    person.key("enter")
    person.types("half of the new pass")
    person.did.clear()
    return person


def test_a_reconnect_leaves_the_password_form_to_whoever_types_into_it() -> None:
    person = changing()
    form = form_of(person)
    person.link(i.Disconnected("LC-NET-LOST", "lost", 1.0), i.Connected(), i.LoggedIn("you", 1))
    assert form_of(person) is form
    person.types("word")
    person.key("enter")
    assert person.sent() == []
    assert person.room.editor.text == ""
    assert form.fields[1].secret.reveal() == "half of the new password"


def test_the_end_of_the_session_takes_the_password_form_but_sends_nothing() -> None:
    person = changing()
    secret = form_of(person).fields[1].secret
    person.link(i.LoggedOut("logged out by another device"))
    assert person.state.dialogs == []
    assert len(secret) == 0
    person.types("word")
    person.key("enter")
    assert person.sent() == []


def test_the_answer_reaches_the_password_form_under_a_page() -> None:
    person = changing()
    person.key("enter")
    person.types("half of the new pass")
    (change,) = person.key("enter")
    assert isinstance(change, e.ChangePassword)
    person.key("f1")
    person.link(i.CommandDone(change.ref, "password changed"))
    person.key("esc")
    assert person.state.dialogs == []


def test_the_new_password_is_recognised_after_the_change() -> None:
    person = changing()
    person.state.trace_key = b"k" * 32
    person.key("enter")
    person.types("half of the new pass")
    (change,) = person.key("enter")
    assert isinstance(change, e.ChangePassword)
    person.link(i.CommandDone(change.ref, "password changed"))
    person.enter("half of the new pass")
    assert person.sent() == []
    assert isinstance(person.state.dialog, Question)


def test_a_password_typed_on_while_the_form_closes_is_not_sent() -> None:
    """Somebody types the password twice: the second time is torn in two by the answer."""
    person = registering()
    person.key("enter")
    person.types("correct ho")
    person.link(
        i.LoggedIn("alice", 2),
        i.RoomsSynced((i.RoomInfo(1, "lobby"),)),
        i.HistoryPage(1, (), older=False, replace=True),
    )
    for _ in range(4):
        person.wait(200)
        person.types("rs")
    person.key("enter")
    assert person.sent() == []
    assert "press Enter again" in person.note
    assert person.input == "rsrsrsrs"
    person.key("enter")
    assert person.sent() == ["rsrsrsrs"]


def test_whoever_waited_for_the_form_to_close_is_not_asked_twice() -> None:
    person = registering()
    person.key("enter")
    person.link(i.LoggedIn("alice", 2), i.RoomsSynced((i.RoomInfo(1, "lobby"),)))
    person.enter("hello")
    assert person.sent() == ["hello"]


def test_what_was_typed_before_the_form_is_not_left_in_the_room() -> None:
    """Typed blindly before the form was there, it may well be a password."""
    person = Person()
    person.types("correct horse")
    person.key("enter")
    person.link(i.Connected(), i.AccountNeeded("lair.example", "login", "alice"))
    person.wait()
    person.types("correct horse")
    person.key("enter")
    person.link(i.LoggedIn("alice", 2), i.RoomsSynced((i.RoomInfo(1, "lobby"),)))
    assert person.input == ""
    person.key("enter")
    assert person.sent() == []
    person.key("up")
    assert person.input == "correct horse"


def test_what_is_typed_when_one_is_put_out_of_a_room_is_not_sent_to_the_next_one() -> None:
    person = attic()
    person.types("between us: th")
    person.link(i.RoomLeft(7, "you were put out of #attic"))
    assert person.room.id != 7
    person.types("e secret")
    person.key("enter")
    assert person.sent() == []
    assert person.input == "e secret"
    assert "press Enter again" in person.note
