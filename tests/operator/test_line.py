"""What the words of a command line mean, and what is said of those that mean nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.model.refusal import Refusal
from lairchat.model.roles import ServerRole
from lairchat.operator.line import Filter, Format, known_flags, parse
from lairchat.operator.verbs import Verbs, verb_of
from lairchat.operator.words import split
from lairchat.wire.contract import Request, Table
from tests.operator import consoles

TABLE = Table(
    [
        consoles.LIST, consoles.SHOW, consoles.LOCK, consoles.SAY, consoles.KEEP, consoles.DROP,
        consoles.BOTH, consoles.LOOK, consoles.TOP, consoles.OWN,
    ]
)  # fmt: skip
VERBS = Verbs(TABLE)


def read(line, *, files=False):
    return parse(VERBS, split(line), ServerRole.OWNER, files=files)


UNDERSTOOD = [
    ("thing list", {}),
    ("thing show a", {"name": "a"}),
    ("thing show ''", {"name": ""}),
    ("thing show null", {"name": "null"}),
    ("thing list --like null", {"like": "null"}),
    ("thing say one two  three", {"text": "one two three"}),
    ("thing say 'one  two'", {"text": "one  two"}),
    ("thing say -- --loud", {"text": "--loud"}),
    ("thing lock a --for 2h", {"name": "a", "span": 7_200}),
    ("thing lock --for=90 a", {"name": "a", "span": 90}),
    ("thing lock a --how hard --loud", {"name": "a", "how": "hard", "loud": True}),
    ("thing lock a --no-loud", {"name": "a", "loud": False}),
    ("thing lock a --loud=no", {"name": "a", "loud": False}),
    ("thing lock a --tag x --tag y", {"name": "a", "tag": ["x", "y"]}),
    ("thing lock a --level 9 --share 0.5", {"name": "a", "level": 9, "share": 0.5}),
    ("thing lock a --since 1970-01-02 --most 2kB", {"name": "a", "since": 86_400_000, "most": 2_000}),
    ("thing lock a --why=--yes", {"name": "a", "why": "--yes"}),
    ("thing lock a --why=", {"name": "a", "why": ""}),
    ("thing lock - --dry-run", {"name": "-", "dry_run": True}),
]  # fmt: skip

REFUSED = [
    ("thing lsit", 'there is no command "thing lsit". Did you mean "thing list"? See: help'),
    ("thnig show x", 'Did you mean "thing show"?'),
    ("THING LIST", 'Did you mean "thing list"?'),
    ("thing", "See what there is: help thing"),
    ("zebra", 'there is no command "zebra". See what there is: help'),
    ("", 'there is no command "". See what there is: help'),
    ("thing show", "thing show: NAME is missing. See: help thing show"),
    ("thing show a b", 'thing show: "b" is one word too many'),
    ("thing lock a --fro 2h", "there is no --fro, did you mean --for"),
    ("thing lock a --zebra", "there is no --zebra. See"),
    ("thing lock a --for", "--for needs TIME after it"),
    ("thing lock a --why --yes", "--why needs TEXT after it"),
    ("thing lock a --for 2h --for 3h", "--for is given twice"),
    ("thing lock a --for soon", "--for: a time span is written like"),
    ("thing lock a --how firm", "--how: one of soft, hard is needed"),
    ("thing lock a --loud=perhaps", "--loud: yes or no is needed"),
    ("thing lock a --level ten", "--level: a number is needed"),
    ("thing lock a --level 10", "level: expected int <= 9"),
    ("thing lock a --share inf", "--share: a number is needed"),
    ("thing lock a --share 2", "share: expected float <= 1"),
    ("thing lock a --since tomorrow", "--since: a time is written like"),
    ("thing lock a --most much", "--most: a size is written like"),
    ("thing list --like 123456789012345678901", "like: expected text of length <= 20"),
    ("thing list --dry-run", "there is no --dry-run"),
    ("thing list --yes", "there is no --yes"),
    ("thing list --after x", "there is no --after"),
    ("thing list |", 'there is no filter ""'),
    ("thing list | gerp x", 'there is no filter "gerp x"'),
    ("thing list | grep", "| grep needs TEXT"),
    ("thing list | head x", "| head needs a number"),
    ("thing list | head -1", "| head needs a number"),
    ("thing list | count 3", "| count takes nothing"),
]


@pytest.mark.parametrize(("line", "values"), UNDERSTOOD)
def test_a_line_is_understood(line, values):
    assert read(line).values == values


@pytest.mark.parametrize(("line", "said"), REFUSED)
def test_a_line_is_refused_with_advice(line, said):
    with pytest.raises(Refusal) as caught:
        read(line)
    assert said in caught.value.text


def test_filters_come_in_their_order():
    line = read("thing list | grep a b | head 3 | count | json")
    assert line.filters == [Filter("grep", "a b"), Filter("head", number=3), Filter("count")]
    assert line.format is Format.JSON
    assert read("thing list --csv").format is Format.CSV


def test_a_door_that_reads_files_gets_their_names():
    assert read("thing key add a k.pub", files=True).files == {"key": "k.pub"}
    assert read("thing key add a k.pub").values == {"name": "a", "key": "k.pub"}


@pytest.mark.parametrize("verb", list(VERBS), ids=lambda verb: verb.name)
def test_every_flag_that_is_offered_is_understood(verb):
    assert len(set(known_flags(verb))) == len(known_flags(verb))
    assert verb.usage.startswith(verb.name)


@given(st.lists(st.text() | st.sampled_from(["--for", "--", "|", "--no-loud", "a", "--tag=", "="])))
def test_any_words_are_understood_or_refused(words):
    for start in (["thing", "lock"], ["thing", "say"], ["thing", "list"], []):
        try:
            parse(VERBS, [*start, *words], ServerRole.ADMIN)
        except Refusal as refusal:
            assert refusal.code.startswith("LC-CLI-")


@pytest.mark.parametrize(
    "cli",
    ["thing show", "thing {nmae}", "thing [{name}]", "{name} thing", "Thing {name}", "a {name} b"],
)
def test_a_declaration_that_does_not_fit_its_request_is_a_bug(cli):
    command = consoles.command(cli, consoles.ShowThing, consoles.Facts)
    if cli == "thing show":  # a required field may be a flag
        assert verb_of(command).usage == "thing show --name TEXT"
        return
    with pytest.raises(ValueError, match="test"):
        verb_of(command)


def test_a_field_for_which_no_word_stands_is_a_bug():
    class Odd(Request, frozen=True):
        body: bytes = b""

    with pytest.raises(ValueError, match="bytes"):
        verb_of(consoles.command("odd", Odd, consoles.Facts))
