"""Fill the small disk that a store is on, and see that nothing is lost: a program for a test.

Prints "nothing was lost" at the end.
"""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from lairchat.e2ee.room import Opened
from lairchat.model.events import EventClass
from lairchat.model.faults import ProfileDisk, ProfileFull
from tests.client.stores import follow, letter, move_in, opened, renewed, say, seal, texts
from tests.e2ee.devices import talk


def main(root: Path) -> None:
    alice, bob = talk("alice", "bob")
    said: list[str] = []
    refused, looked = 0, False
    with suppress(ProfileFull), opened(root) as store:  # closing it needs space as well
        move_in(store, alice)
        for number in range(200):
            text = f"message {number} " + "words " * 300
            what = letter(text)
            try:
                sealed = seal(store, alice.person, what)
            except (ProfileFull, ProfileDisk) as refusal:
                print(refusal)
                assert "not kept or sent" in refusal.text
                refused += 1
                break
            alice.server.append(EventClass.APP, sealed)
            said.append(text)
            try:
                follow(store, alice.server)
            except (ProfileFull, ProfileDisk) as refusal:
                print(refusal)
                refused += 1
                break
        # Reading goes on, also what stands in the log of the disk only.
        shown = texts(store)
        assert shown == said[: len(shown)]
        assert len(said) - len(shown) <= 1
        assert len(store.outbox()) == len(said) - len(shown)
        looked = True
    assert refused, "the disk never was full"
    assert looked
    grow(root)
    with opened(root) as store:
        follow(store, alice.server)
        renewed(store)  # it was closed in order only if there was space for that
        say(store, alice, "there is space again")
        assert texts(store) == [*said, "there is space again"]
        assert store.outbox() == []
    happened = bob.sync()
    assert all(isinstance(one, Opened) for one in happened)
    assert bob.texts == [*said, "there is space again"]
    print("nothing was lost")


def grow(root: Path) -> None:
    """Give the disk more space."""
    subprocess.run(["mount", "-o", "remount,size=8m", str(root)], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
