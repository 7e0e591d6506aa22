"""Names that could be taken for somebody else, for the server or for a command are refused."""

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.model import names
from lairchat.model.names import (
    RESERVED,
    NameRefused,
    check_label,
    check_room_name,
    check_topic,
    check_user_name,
    name_key,
    skeleton,
)
from lairchat.model.refusals import LabelBad, NameBad, NameReserved, RoomNameBad, TopicBad

SIGNS = string.ascii_letters + string.digits + "_-"


@pytest.mark.parametrize(
    "name",
    ["bob", "Alice", "alice_2", "a-b", "3dprinter", "x" * 32, "Ali", "ali", "ALI", "al-ice-"],
)
def test_ordinary_names_come_back_as_written(name):
    assert check_user_name(name) == name


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "fewer than 3"),
        ("al", "fewer than 3"),
        ("x" * 33, "more than 32"),
        ("a b", "only a-z, 0-9 and - _ are possible"),
        ("alice\n", "only a-z"),
        ("a.b.c", "only a-z"),
        ("al\u0131ce", "only a-z"),
        ("\u212aelvin", "only a-z"),
        ("r\u03bf\u03bft", "only a-z"),
        ("\uff41\uff42\uff43", "only a-z"),
        ("\u0661\u0662\u0663", "only a-z"),
        ("ali\u0307ce", "only a-z"),
        ("--help", "start with a letter or digit"),
        ("_alice", "start with a letter or digit"),
        ("12345", "no letter"),
    ],
)
def test_malformed_names_are_refused_with_the_reason(name, why):
    with pytest.raises(NameBad, match=why):
        check_user_name(name)


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_no_reserved_name_can_be_had(name):
    for form in (name, name.upper(), name.title()):
        with pytest.raises(NameRefused):
            check_user_name(form)


LOOK_ALIKES = (
    "adm1n admln 4dm1n Adrnin a_d_m_i_n r00t R0OT ro0t 5erver serv3r sy5tem 0wner ovvner m0der4t0r "
    "l4ir 1air Iairchat supp0rt everyOne a11 AlI aLi aIl al1 nuII nu11 n0body b0t 8ot gue5t y0u "
    "h3re he1pdesk c-on-sole"
)


@pytest.mark.parametrize("name", LOOK_ALIKES.split())
def test_look_alikes_of_reserved_names_are_refused(name):
    with pytest.raises(NameReserved):
        check_user_name(name)


PEOPLE = (
    "admiral rooter rootbeer mallory allison alistair connie bobby bottle herebert youssef "
    "guestave serverina nathan nullah norman modesty lairdon lena abel neil will coma come"
)


@pytest.mark.parametrize("name", PEOPLE.split())
def test_people_are_not_refused_for_resembling_a_little(name):
    assert check_user_name(name) == name


def test_hostile_user_names(vectors):
    hostile = json.loads((vectors / "hostile" / "vectors.json").read_text("utf-8"))
    for name in hostile["usernames_reject"]:
        with pytest.raises(NameRefused):
            check_user_name(name)


@given(st.text(max_size=40))
def test_any_text_is_a_name_or_refused(text):
    try:
        name = check_user_name(text)
    except NameRefused:
        return
    assert name == text
    assert 3 <= len(name) <= 32
    assert set(name) <= set(SIGNS)


def test_names_are_one_whatever_their_case():
    assert name_key("Alice") == name_key("aLICE") == "alice"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("alice", "AL1CE"),
        ("alice", "a-l_ice"),
        ("bob", "b0b"),
        ("modern", "modem"),
        ("William", "VVilliam"),
        ("susan", "5u5an"),
        ("zoe", "2oe"),
    ],
)
def test_what_looks_the_same_has_one_skeleton(one, other):
    assert skeleton(one) == skeleton(other)


def test_numbered_names_stay_apart():
    assert len({skeleton(f"node{digit}") for digit in range(10)}) == 10


@given(st.text(SIGNS))
def test_the_skeleton_of_a_skeleton_is_itself(text):
    assert skeleton(skeleton(text)) == skeleton(text)


@given(st.text(SIGNS, min_size=1))
def test_case_and_separators_do_not_change_the_skeleton(text):
    assert skeleton(text.upper()) == skeleton(text.lower()) == skeleton("_".join(text) + "-")


@pytest.mark.parametrize("name", ["a", "ops", "ops-2", "v1.0", "0day", "x" * 32, "a_b"])
def test_ordinary_room_names_come_back(name):
    assert check_room_name(name) == name


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "fewer than 1"),
        ("x" * 33, "more than 32"),
        ("Ops", "only a-z, 0-9 and - . _ are possible"),
        ("#ops", "only a-z"),
        ("a b", "only a-z"),
        ("a/b", "only a-z"),
        ("\x1b[2J", "only a-z"),
        ("caf\u00e9", "only a-z"),
        ("..", "start with a letter or digit"),
        (".hidden", "start with a letter or digit"),
        ("-rf", "start with a letter or digit"),
    ],
)
def test_malformed_room_names_are_refused_with_the_reason(name, why):
    with pytest.raises(RoomNameBad, match=why):
        check_room_name(name)


@pytest.mark.parametrize(
    ("topic", "kept"),
    [
        ("", ""),
        ("  the attic, keep calm ", "the attic, keep calm"),
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),
        ("x" * 200, "x" * 200),
    ],
)
def test_topics(topic, kept):
    assert check_topic(topic) == kept


@pytest.mark.parametrize(
    "topic", ["x" * 201, "two\nlines", "a\x1b[2J", "a\u2028b", "\ud800", "\x00"]
)
def test_topics_that_are_refused(topic):
    with pytest.raises(TopicBad):
        check_topic(topic)


@pytest.mark.parametrize(("label", "kept"), [(" laptop ", "laptop"), ("x" * 40, "x" * 40)])
def test_labels(label, kept):
    assert check_label(label) == kept


@pytest.mark.parametrize("label", ["", "   ", "x" * 41, "a\nb", "a\tb", "\x9b"])
def test_labels_that_are_refused(label):
    with pytest.raises(LabelBad):
        check_label(label)


def test_public_names():
    assert all(hasattr(names, name) for name in names.__all__)
