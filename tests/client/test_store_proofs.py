"""What a device keeps of what others have signed: as long as the words that it proves, and nowhere else."""

import os
from pathlib import Path

from lairchat.client import store_schema
from lairchat.client.store import Store
from lairchat.client.store_file import open_database
from lairchat.e2ee.backup import place_of
from lairchat.e2ee.payload import Delete, Edit, React, Target, Text
from lairchat.e2ee.telling import told
from lairchat.features.reports import rules
from lairchat.model import limits
from lairchat.model.events import EventClass
from tests.client.stores import MASTER, decrypted, follow, opened, profile, say, shown
from tests.client.test_store_backups import Both, both, message, restore
from tests.client.test_store_crash import Killed, Wire, every_statement
from tests.e2ee.devices import NOW, ROOM

__all__ = ["both"]


def proof(store: Store, seq: int) -> str | None:
    """Return what is proven of a message, in words."""
    data = store.messages.proof(ROOM, seq)
    return None if data is None else told(rules.statement(data).data).text


def test_what_came_is_proven_by_what_its_author_signed(both: Both) -> None:
    both.hear("one")
    seq = both.here
    data = both.store.messages.proof(ROOM, seq)
    assert data is not None
    said = rules.statement(data)
    room = both.store.room(ROOM)
    assert room is not None
    context = room.group.context
    key = room.group.public.tree.member(said.leaf).signature_key
    rules.require_signed(said, context.group_id, context.encode(), key)
    assert proof(both.store, seq) == "one"


def test_one_s_own_and_what_there_is_not_have_none(both: Both) -> None:
    say(both.store, both.alice, "mine")
    assert both.store.messages.proof(ROOM, both.here) is None
    assert both.store.messages.proof(ROOM, 999) is None


def test_an_edit_brings_its_own_and_a_reaction_leaves_it(both: Both) -> None:
    identity = both.hear("one")
    seq = both.here
    both.hear(Edit(identity, "two"))
    assert proof(both.store, seq) == "two"
    both.hear(React(Target(both.bob.person.id, identity), "+1"))
    say(both.store, both.alice, React(Target(both.bob.person.id, identity), "+1"))
    assert proof(both.store, seq) == "two"


def test_it_goes_with_what_is_deleted_edited_or_forgotten(both: Both, tmp_path: Path) -> None:
    """The words stand in it a second time."""
    deleted, edited = both.hear("qwvzxdeleted"), both.hear("qwvzxedited")
    places = [one.said.seq for one in shown(both.store)]
    (directory,) = tmp_path.glob("profiles/*/alice")
    both.store.purge()
    assert b"qwvzx" in decrypted(directory)
    both.hear(Delete(Target(both.bob.person.id, deleted)))
    both.hear(Edit(edited, "another"))
    assert both.store.messages.proof(ROOM, places[0]) is None
    assert proof(both.store, places[1]) == "another"
    both.store.purge()
    assert b"qwvzx" not in decrypted(directory)
    both.store.forget_room(ROOM)
    assert both.store.messages.proof(ROOM, places[1]) is None


def test_it_goes_with_what_has_had_its_time(both: Both) -> None:
    sealed, both.bob.room = both.bob.room.seal(
        Text("soon gone"), os.urandom(16), both.bob.person.log, NOW, os.urandom, expires=60
    )
    both.bob.server.append(EventClass.APP, sealed)
    follow(both.store, both.bob.server)
    seq = both.here
    both.store.marks.read(ROOM, seq, NOW)
    assert proof(both.store, seq) == "soon gone"
    assert both.store.expire(NOW + 60_001)
    assert both.store.messages.proof(ROOM, seq) is None


def test_the_backup_has_none(both: Both) -> None:
    both.hear("one")
    saved = both.store.backups.messages(place_of(ROOM, shown(both.store)[0]))
    assert [one.text for one in saved] == ["one"]
    assert restore(both.store, message(1)) == 1
    assert both.store.messages.proof(ROOM, 1) is None


def older(root: Path) -> None:
    """Make a store of the version before, in which something was said."""
    held = profile(root)
    database = open_database(held, MASTER, store_schema.STEPS[:-1])
    with database.writing() as connection:
        connection.execute("INSERT INTO events VALUES (7, 1, x'00', x'0a', x'0b')")
        connection.execute(
            "INSERT INTO messages (room, seq, device, role, at, text) VALUES (7, 1, x'', 1, 5, 'x')"
        )
    database.close()
    held.unlock()


def test_a_store_from_before_has_what_it_had_and_no_proof(tmp_path: Path) -> None:
    older(tmp_path)
    with opened(tmp_path) as store:
        assert [one.text for one in shown(store)] == ["x"]
        assert store.messages.proof(ROOM, 1) is None


def test_killed_while_it_becomes_this_version_it_is_one_or_the_other(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    older(base)

    def work(store: Store, wire: Wire) -> None:
        assert store.messages.proof(ROOM, 1) is None
        wire(b"there")

    killed = Killed(base, tmp_path / "killed", work, "alice")

    def check(_left: list[bytes], _died: bool) -> None:
        with opened(killed.root) as store:
            assert [one.text for one in shown(store)] == ["x"]
            assert store.messages.proof(ROOM, 1) is None

    assert every_statement(killed, check) > 20


def test_of_a_long_one_nothing_stays_in_the_pages_that_it_had(both: Both, tmp_path: Path) -> None:
    """It does not fit the page of its row: what lay in others is overwritten too, not only let go."""
    marks = [f"qwvzx{number:04}" for number in range(limits.MESSAGE_CHARS // 10)]
    identities = [both.hear(" ".join(marks)) for _ in range(3)]
    (directory,) = tmp_path.glob("profiles/*/alice")
    both.store.purge()
    found = decrypted(directory)
    assert all(one.encode() in found for one in marks)
    both.hear(Edit(identities[0], "short"))
    both.hear(Edit(identities[1], "quite another one, " * 200))
    both.hear(Delete(Target(both.bob.person.id, identities[2])))
    both.store.purge()
    assert b"qwvzx" not in decrypted(directory)
