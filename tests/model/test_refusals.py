"""Every refusal obeys the style of errors: two lines, a next step, no blame, a code of its own."""

import re
import textwrap
from string import Formatter

import pytest

from lairchat.model import faults, refusals
from lairchat.model.refusals import REFUSALS, Refusal

EACH = pytest.mark.parametrize("kind", REFUSALS.values(), ids=REFUSALS)

# A sentence that starts with one of these, or is a question, tells what to do next.
STEPS = (
    "Ask Change Check Choose Close Compare Copy Delete Did Forgot Free If Is Join Keep Leave Lift "
    "Link Log Look Make Move Name Next Open Put Remove Resume Run See Send Shorten Start Stop Take "
    "Tell Try Type"
)
NEXT_STEP = re.compile(rf"(?:^|[.:;?)] )(?:{'|'.join(STEPS.split())})\b[^.]* [^.]+")
BLAME = re.compile(
    r"\b(you must|you cannot|you have to|you failed|your (fault|mistake|error)|invalid|illegal|"
    r"forbidden|fatal|incorrect|stupid|sorry|oops|please|exception|traceback|null pointer)\b",
    re.IGNORECASE,
)

REQUIRED = (
    "AUTH-FAILED AUTH-TOKEN AUTH-REUSED AUTH-DELAY AUTH-BUSY AUTH-LOCKED NAME-BAD NAME-TAKEN "
    "NAME-RESERVED REG-CLOSED INVITE-BAD ROOM-UNKNOWN ROOM-NAME ROOM-TAKEN ROOM-FULL ROOMS-MAX "
    "ROOM-READONLY ROOM-DIRECT NOT-MEMBER BANNED DENIED LAST-OWNER USER-UNKNOWN SELF TEXT-LONG "
    "TEXT-EMPTY TEXT-BAD TOPIC-BAD LABEL-BAD ID-OLD ID-FUTURE ID-CONFLICT KIND RATE BUSY "
    "CONNECTIONS TIMEOUT STORE-FULL STORE-READONLY STORE-BUSY STORE-BROKEN SHUTDOWN BLOB-UNKNOWN "
    "BLOB-OFFSET BLOB-DIGEST BLOB-SIZE BLOB-QUOTA CURSOR-BAD DEVICE-UNKNOWN INTERNAL NET-REFUSED "
    "NET-NAME NET-TIMEOUT NET-LOST TLS-HANDSHAKE TLS-EXPIRED TLS-HOST TLS-CA TLS-PIN TLS-IDENTITY "
    "TLS-VERSION LINK-BAD PROFILE-LOCKED PROFILE-BROKEN PLAIN-ONLY START-PORT START-LOCK "
    "START-DISK START-PERM START-SCHEMA CFG"
)


def example(kind: type[Refusal]) -> Refusal:
    return kind(retry_after=90.0, **kind.sample)


@pytest.mark.parametrize("code", REQUIRED.split())
def test_the_codes_that_other_parts_count_on_exist(code):
    assert REFUSALS[f"LC-{code}"].code == f"LC-{code}"


@EACH
def test_the_code_is_short_upper_case_and_fits_the_wire(kind):
    assert re.fullmatch(r"LC(-[A-Z0-9]+)+", kind.code)
    assert len(kind.code) <= 20


@EACH
def test_code_and_sentence_fit_two_lines_of_a_terminal(kind):
    assert len(textwrap.wrap(str(example(kind)), 80)) <= 2


@EACH
def test_the_sentence_says_what_to_do_next(kind):
    text = example(kind).text
    assert NEXT_STEP.search(text), text


@EACH
def test_the_sentence_blames_nobody(kind):
    assert not BLAME.search(kind.text)


@EACH
def test_the_sentence_starts_small_and_is_printable_ascii(kind):
    text = example(kind).text
    assert text.isascii()
    assert text.isprintable()
    assert not text[0].isupper()
    assert "  " not in text
    assert text == text.strip()


@EACH
def test_the_sample_holds_what_the_sentence_names(kind):
    named = {name for _, name, _, _ in Formatter().parse(kind.text) if name is not None}
    assert named - {"wait"} == set(kind.sample)


@EACH
def test_the_class_says_when_it_is_raised(kind):
    assert kind.__doc__
    assert "\n" not in kind.__doc__
    assert kind.__doc__ != Refusal.__doc__


def test_no_two_refusals_say_the_same():
    texts = [kind.text for kind in REFUSALS.values()]
    assert len(set(texts)) == len(texts)


def test_public_names_are_all_refusals_declared_here():
    declared = {
        name
        for name, value in vars(refusals).items()
        if isinstance(value, type) and value.__module__ == refusals.__name__
    }
    assert declared | {"REFUSALS", "Refusal", "describe_wait", "received", "faults"} == set(
        refusals.__all__
    )


def test_the_registry_is_complete_after_one_import():
    declared = {
        value
        for module in (refusals, faults)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Refusal) and value.code
    }
    # Other tests declare refusals of their own; the program's are all in these two modules.
    ours = {kind for kind in REFUSALS.values() if kind.__module__.startswith("lairchat.")}
    assert declared == ours
