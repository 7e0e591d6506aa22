"""Two people at terminals compare: by seven words while they talk, and by the safety number."""

import re

import pytest

from tests.blackbox.terminals import Terminal, Terminals

pytestmark = pytest.mark.blackbox


def codes(person: Terminal) -> str:
    """Return the words and numbers to compare, once they are on the screen."""
    shown = person.matches(r"numbers +\d+ +\d+ +\d+")
    found = re.search(r"1 \w+ .*numbers( +\d+){3}", shown, re.DOTALL)
    assert found is not None
    return " ".join(found[0].split())


class Verifying(Terminals):
    def test_seven_words_on_both_screens_make_two_people_sure(self) -> None:
        alice = self.come_in("alice", self.link())
        bob = self.come_in("bob", self.invite("alice"))
        alice.line("/msg bob is it you?")
        alice.until("[@bob E2E]")
        bob.until("@alice")
        alice.line("/verify bob")
        bob.until("alice wants to compare codes")
        bob.think()
        bob.type("y")
        assert codes(alice) == codes(bob)
        for person in (alice, bob):
            person.think()
            person.type("y")
        alice.until("[@bob E2E+]", gone="numbers")
        # Before that is over on this screen too, what is typed is for the question there.
        bob.until("[!#lobby PLAIN]", gone="numbers")
        bob.line("/msg alice it is me")
        bob.until("[@alice E2E+]")
        alice.until("it is me")

    def test_codes_that_differ_are_an_alarm(self) -> None:
        alice = self.come_in("alice", self.link())
        bob = self.come_in("bob", self.invite("alice"))
        alice.line("/msg bob is it you?")
        bob.until("@alice")
        alice.line("/verify bob")
        bob.until("alice wants to compare codes")
        bob.think()
        bob.type("y")
        assert codes(alice) == codes(bob)
        bob.think()
        bob.type("n")
        bob.until("The codes differ", "write nothing secret")
        alice.until("the other side has stopped", "[@bob E2E]")
        bob.think()
        bob.type("\x1b")
        bob.until("[!#lobby PLAIN]", gone="The codes differ")

    def test_the_safety_number_and_its_qr_code(self) -> None:
        alice = self.come_in("alice", self.link())
        bob = self.come_in("bob", self.invite("alice"))
        numbers = []
        for person, other in ((alice, "bob"), (bob, "alice")):
            person.line(f"/msg {other}")
            person.until(f"[@{other} E2E")
            person.line(f"/fingerprint {other}")
            shown = person.matches(r"( \d{5}){4}\n( +\d{5}){4}\n( +\d{5}){4}")
            numbers.append(re.findall(r"\b\d{5}\b", shown)[:12])
            person.type(" ")
            person.until("\u2588\u2588 \u2584\u2584\u2584\u2584\u2584 \u2588")  # a corner of it
        assert numbers[0] == numbers[1]
        alice.type("y")
        alice.until("sixty digits")
        alice.type("y")
        alice.until("[@bob E2E+]")
