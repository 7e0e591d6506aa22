"""A store opens with its password, for one process, whole; otherwise it is said what to do."""

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from stat import S_IMODE

import pytest
from sqlcipher3 import dbapi2 as driver

from lairchat.client import store_database
from lairchat.client.profile import Profile
from lairchat.client.store import Store
from lairchat.client.store_disk import explained_disk
from lairchat.client.store_file import open_database
from lairchat.client.store_schema import STEPS
from lairchat.client.store_vault import lock, unlock, vault_path
from lairchat.e2ee.room import Due, Opened
from lairchat.mls.errors import MisuseError
from lairchat.model.events import EventClass
from lairchat.model.faults import (
    ProfileBroken,
    ProfileDamaged,
    ProfileDisk,
    ProfileFull,
    ProfileKey,
    ProfileNewer,
)
from lairchat.trust.secret import SecretBytes
from tests.client.stores import (
    MASTER,
    follow,
    letter,
    move_in,
    opened,
    profile,
    say,
    seal,
    texts,
)
from tests.e2ee.devices import NOW, ROOM, talk
from tests.requirements import require
from tests.trust.people import SERVER

PASSWORD, OTHER = SecretBytes(b"p" * 32), SecretBytes(b"q" * 32)
PAGE = 4096


@contextmanager
def held(root: Path, name: str = "alice") -> Iterator[Profile]:
    """Lock a profile."""
    found = profile(root, name)
    try:
        yield found
    finally:
        found.unlock()


def files(found: Profile) -> dict[str, bytes]:
    """Return what is in a profile, but for its lock."""
    return {
        path.name: path.read_bytes() for path in found.directory.iterdir() if path.name != "lock"
    }


# The password.


def test_the_key_is_drawn_once_and_kept_under_the_password(tmp_path: Path) -> None:
    with held(tmp_path) as alice:
        master = unlock(alice, PASSWORD, os.urandom)
        assert unlock(alice, PASSWORD, os.urandom) == master
        store = Store.open(alice, master)
        store.marks.keep_draft(ROOM, "kept")
        store.close()
        # A new password wraps the same key: nothing is sealed anew.
        lock(alice, master, OTHER, os.urandom)
        with pytest.raises(ProfileKey):
            unlock(alice, PASSWORD, os.urandom)
        store = Store.open(alice, unlock(alice, OTHER, os.urandom))
        assert store.marks.drafts() == {ROOM: "kept"}
        store.close()


def test_a_wrong_password_is_told_and_changes_nothing(tmp_path: Path) -> None:
    with held(tmp_path) as alice:
        store = Store.open(alice, unlock(alice, PASSWORD, os.urandom))
        store.close()
        before = files(alice)
        with pytest.raises(ProfileKey, match="this password does not open"):
            unlock(alice, OTHER, os.urandom)
        assert files(alice) == before


def test_a_wrong_key_opens_nothing_and_changes_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.marks.keep_draft(ROOM, "kept")
    with held(tmp_path) as alice:
        before = files(alice)
        with pytest.raises(ProfileDamaged, match="its key does not open it"):
            Store.open(alice, SecretBytes(b"x" * 32))
        assert files(alice) == before


def test_files_are_their_owners_alone(tmp_path: Path) -> None:
    with held(tmp_path) as alice:
        old = os.umask(0)
        try:
            store = Store.open(alice, unlock(alice, PASSWORD, os.urandom))
            store.marks.keep_draft(ROOM, "x")
        finally:
            os.umask(old)
        found = {path.name: S_IMODE(path.stat().st_mode) for path in alice.directory.iterdir()}
        assert found == dict.fromkeys(("lock", "store.db", "store.db-wal", "store.key"), 0o600)
        store.close()
        (alice.directory / "store.db").chmod(0o644)
        Store.open(alice, unlock(alice, PASSWORD, os.urandom)).close()
        assert S_IMODE((alice.directory / "store.db").stat().st_mode) == 0o600
        assert set(files(alice)) == {"store.db", "store.key"}


def test_files_that_others_have_copied_become_their_owners_alone_again(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.marks.keep_draft(ROOM, "stands in the log alone")
        directory = store._database.path.parent
        kept = {name: (directory / name).read_bytes() for name in ("store.db", "store.db-wal")}
    with held(tmp_path) as alice:
        unlock_path = vault_path(alice)
        lock(alice, MASTER, PASSWORD, os.urandom)
        for name, data in kept.items():
            (directory / name).write_bytes(data)
            (directory / name).chmod(0o666)
        unlock_path.chmod(0o644)
        assert unlock(alice, PASSWORD, os.urandom) == MASTER
        assert S_IMODE(unlock_path.stat().st_mode) == 0o600
        store = Store.open(alice, MASTER)
        found = {path.name: S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
        assert set(found.values()) == {0o600}
        assert "store.db-wal" in found
        assert store.marks.drafts() == {ROOM: "stands in the log alone"}
        store.close()


@pytest.mark.parametrize("mode", [0o755, 0o701, 0o770])
def test_a_directory_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    with opened(tmp_path):
        pass
    with held(tmp_path) as alice:
        lock(alice, MASTER, PASSWORD, os.urandom)
        alice.directory.chmod(mode)
        before = files(alice)
        with pytest.raises(ProfileBroken, match="others may use it"):
            unlock(alice, PASSWORD, os.urandom)
        with pytest.raises(ProfileBroken, match="others may use it"):
            Store.open(alice, MASTER)
        assert files(alice) == before
        alice.directory.chmod(0o700)
        Store.open(alice, unlock(alice, PASSWORD, os.urandom)).close()


@pytest.mark.parametrize("data", [b"", b"\x00\x01", b"\x00\x09" + bytes(60), bytes(2_000)])
def test_a_damaged_vault_is_told(tmp_path: Path, data: bytes) -> None:
    with held(tmp_path) as alice:
        unlock(alice, PASSWORD, os.urandom)
        vault_path(alice).write_bytes(data)
        with pytest.raises(ProfileDamaged, match="is damaged"):
            unlock(alice, PASSWORD, os.urandom)


def test_a_vault_that_is_gone_is_not_made_anew_beside_its_store(tmp_path: Path) -> None:
    with held(tmp_path) as alice:
        Store.open(alice, unlock(alice, PASSWORD, os.urandom)).close()
        vault_path(alice).unlink()
        with pytest.raises(ProfileDamaged, match="it is missing, and the store is not"):
            unlock(alice, PASSWORD, os.urandom)
        assert not vault_path(alice).exists()


def test_a_vault_that_cannot_be_read_or_written_is_told(tmp_path: Path) -> None:
    with held(tmp_path) as alice:
        vault_path(alice).mkdir()
        with pytest.raises(ProfileDisk, match="directory"):
            unlock(alice, PASSWORD, os.urandom)
        vault_path(alice).rmdir()
        vault_path(alice).with_name("store.key.new").mkdir()
        with pytest.raises(ProfileDisk):
            unlock(alice, PASSWORD, os.urandom)
        vault_path(alice).with_name("store.key.new").rmdir()
        # What a process left that was killed while it wrote is in nobody's way.
        vault_path(alice).with_name("store.key.new").write_bytes(b"half")
        unlock(alice, PASSWORD, os.urandom)
        assert set(files(alice)) == {"store.key"}


def test_the_key_is_in_no_statement_no_error_and_no_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    connect = driver.connect

    def traced(*given: object, **named: object) -> object:
        connection = connect(*given, **named)
        connection.set_trace_callback(seen.append)
        return connection

    monkeypatch.setattr(store_database.driver, "connect", traced)
    with opened(tmp_path) as store:
        store.marks.keep_draft(ROOM, "x")
        seen += [repr(store), str(vars(store))]
    with held(tmp_path) as alice, pytest.raises(ProfileDamaged) as caught:
        Store.open(alice, SecretBytes(bytes(reversed(MASTER.reveal()))))
    chain: BaseException | None = caught.value
    while chain is not None:
        seen.append(repr(chain))
        chain = chain.__cause__
    assert len(seen) > 50
    text = "\n".join(seen).lower()
    for key in (MASTER.reveal(), bytes(reversed(MASTER.reveal()))):
        assert key.hex() not in text
        assert repr(key)[2:12] not in text


def test_nothing_is_written_to_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """SQLCipher would, in the middle of our screen; the errors themselves come all the same."""
    with opened(tmp_path):
        pass
    with held(tmp_path) as alice:
        with pytest.raises(ProfileDamaged):
            Store.open(alice, SecretBytes(b"x" * 32))
        path = alice.directory / "store.db"
        path.write_bytes(b"no database" * 1_000)
        with pytest.raises(ProfileDamaged):
            Store.open(alice, MASTER)
    assert capfd.readouterr() == ("", "")


def test_the_driver_has_what_the_store_rests_on(tmp_path: Path) -> None:
    with opened(tmp_path) as store, store._database.reading() as connection:

        def pragma(name: str) -> object:
            return connection.execute(f"PRAGMA {name}").fetchone()[0]

        version = str(pragma("cipher_version")).split()[0]
        assert tuple(map(int, version.split("."))) >= (4, 19)
        assert driver.sqlite_version_info >= (3, 42), "FTS5 has secure-delete from there on"
        found = {name: pragma(name) for name in (
            "journal_mode", "synchronous", "foreign_keys", "secure_delete", "cell_size_check",
            "temp_store", "trusted_schema", "locking_mode", "mmap_size",
        )}  # fmt: skip
        assert found == {
            "journal_mode": "wal",
            "synchronous": 2,
            "foreign_keys": 1,
            "secure_delete": 1,
            "cell_size_check": 1,
            "temp_store": 2,
            "trusted_schema": 0,
            "locking_mode": "exclusive",
            "mmap_size": 0,
        }
        assert connection.execute(
            "SELECT v FROM found_config WHERE k = 'secure-delete'"
        ).fetchone() == (1,)


# One process, one file.


def test_two_processes_do_not_share_a_store(tmp_path: Path) -> None:
    """Nor do they if one of them ignores the profile's lock."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from lairchat.client.profile import Profile\n"
        "from lairchat.client.store import Store\n"
        "from lairchat.model.refusal import Refusal\n"
        "from tests.client.stores import MASTER\n"
        "from tests.trust.people import SERVER\n"
        "alice = Profile(Path(sys.argv[1]), SERVER, 'alice')\n"
        "try:\n"
        "    alice.lock()\n"
        "except Refusal as refusal:\n"
        "    print(refusal.code)\n"
        "alice._lock = 0\n"
        "try:\n"
        "    Store.open(alice, MASTER)\n"
        "except Refusal as refusal:\n"
        "    print(refusal.code)\n"
    )
    with opened(tmp_path) as store:
        ran = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            cwd=Path(__file__).parents[2],
        )
        assert ran.stdout.split() == ["LC-PROFILE-LOCKED", "LC-PROFILE-LOCKED"]
        assert ran.stderr == ""
        store.marks.keep_draft(ROOM, "still mine")
    with opened(tmp_path) as store:
        assert store.marks.drafts() == {ROOM: "still mine"}


def test_a_copied_profile_has_new_keys_come_first(tmp_path: Path) -> None:
    alice, bob = talk("alice", "bob")
    first, second = tmp_path / "first", tmp_path / "second"
    with opened(first) as store:
        move_in(store, alice)
        say(store, alice, "before")
        assert not store.is_unclean(ROOM)
    shutil.copytree(first, second)
    with opened(first) as store:
        assert not store.unclean
        assert not store.copied
        assert not store.is_unclean(ROOM)
    with opened(second) as store:
        assert store.unclean
        assert store.copied
    # It stays so until new keys have come, whatever happens in between.
    with opened(second) as store:
        assert not store.copied
        assert store.is_unclean(ROOM)
        room = store.room(ROOM)
        assert room is not None
        # Else it would be for another reason: this device has just come in.
        assert replace(room, renewed_at=NOW).due(NOW, unclean=True) is Due.UNCLEAN
        bob.sync()
        bob.say("meanwhile")
        follow(store, alice.server)
        assert store.is_unclean(ROOM)
        room = store.room(ROOM)
        assert room is not None
        committing = room.commit(store.people.logs, os.urandom)
        store.keep_commit(committing)
        assert store.is_unclean(ROOM)
        assert committing.pending is not None
        alice.server.append(EventClass.COMMIT, committing.pending.message)
        follow(store, alice.server)
        assert not store.is_unclean(ROOM)


def test_a_store_that_was_not_closed_is_unclean(tmp_path: Path) -> None:
    alice, _ = talk("alice", "bob")
    with held(tmp_path) as found:
        store = Store.open(found, MASTER)
        move_in(store, alice)
        store._database.close()
    with opened(tmp_path) as store:
        assert store.unclean
        assert not store.copied
        assert store.is_unclean(ROOM)
        assert not store.is_unclean(ROOM + 1)
        room = store.room(ROOM)
        assert room is not None
        typed = letter("too early")
        sealed, after = room.seal(typed.body, typed.id, alice.person.log, NOW, os.urandom)
        with pytest.raises(MisuseError, match="new keys"):
            store.send(after, typed, sealed, NOW)
        assert store.outbox() == []


def killed(root: Path) -> Path:
    """Have a process write to a store and die; return the log of what it wrote."""
    process = os.fork()
    if process == 0:
        # Neither pytest nor coverage is this process's business.
        with suppress(BaseException):
            store = Store.open(profile(root), MASTER)
            store.marks.keep_draft(ROOM, "typed")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(process, 0)
    return Profile(root, SERVER, "alice").directory / "store.db-wal"


def test_a_store_that_lost_its_log_is_unclean(tmp_path: Path) -> None:
    """As when only the store itself is put back: it goes on from what it was before."""
    alice, _ = talk("alice", "bob")
    with opened(tmp_path) as store:
        move_in(store, alice)
    killed(tmp_path).unlink()
    with opened(tmp_path) as store:
        assert store.marks.drafts() == {}
        assert store.unclean
        assert not store.copied
        assert store.is_unclean(ROOM)


def test_the_log_of_a_store_that_is_gone_is_none_of_the_next_ones(tmp_path: Path) -> None:
    with opened(tmp_path):
        pass
    killed(tmp_path).with_name("store.db").unlink()
    with opened(tmp_path) as store:
        assert store.marks.drafts() == {}
        assert not store.unclean


@pytest.mark.parametrize("winner", ["own", "other"])
def test_a_commit_of_before_does_not_bring_a_copy_new_keys(tmp_path: Path, winner: str) -> None:
    """The other one may take it too, and seal with the keys that it begins with."""
    alice, bob = talk("alice", "bob")
    first, second = tmp_path / "first", tmp_path / "second"
    with opened(first) as store:
        move_in(store, alice)
        room = store.room(ROOM)
        assert room is not None
        store.keep_commit(room.commit(store.people.logs, os.urandom))
    shutil.copytree(first, second)
    with opened(second) as store:
        room = store.room(ROOM)
        assert room is not None
        assert room.pending is not None
        if winner == "own":
            alice.server.append(EventClass.COMMIT, room.pending.message)
        else:
            bob.commit()
        follow(store, alice.server)
        assert store.is_unclean(ROOM)
        room = store.room(ROOM)
        assert room is not None
        committing = room.commit(store.people.logs, os.urandom)
        store.keep_commit(committing)
        assert committing.pending is not None
        alice.server.append(EventClass.COMMIT, committing.pending.message)
        follow(store, alice.server)
        assert not store.is_unclean(ROOM)


def test_a_store_of_another_account_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path):
        pass
    with held(tmp_path) as alice, held(tmp_path, "bob") as bob:
        shutil.copy(alice.directory / "store.db", bob.directory / "store.db")
        with pytest.raises(ProfileDamaged, match="another account"):
            Store.open(bob, MASTER)


# Damage.

SAID = 400
"""Messages in the store that is damaged: enough that most of its pages are read again."""


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a store with something in each of its tables' pages."""
    root = tmp_path_factory.mktemp("full")
    alice, bob = talk("alice", "bob")
    with opened(root) as store:
        move_in(store, alice)
        for number in range(SAID):
            bob.say(f"message {number} " + "word " * 50)
        follow(store, alice.server)
    return root


def test_damaged_pages_are_told_and_never_believed(tmp_path: Path, full: Path) -> None:
    """Every page, one bit of it: the HMAC finds each when it is read."""
    with opened(full) as store:
        sound = texts(store)
        room = store.room(ROOM)
        assert room is not None
        authenticator = room.group.authenticator
    directory = Profile(full, SERVER, "alice").directory
    size = (directory / "store.db").stat().st_size
    assert size > 20 * PAGE
    told = 0
    for number in range(size // PAGE):
        root = tmp_path / str(number)
        shutil.copytree(full, root)
        found = profile(root)
        path = found.directory / "store.db"
        data = bytearray(path.read_bytes())
        data[number * PAGE + 100 + number % 3_800] ^= 1 << number % 8
        path.write_bytes(data)
        try:
            store = Store.open(found, MASTER)
            assert texts(store) == sound
            room = store.room(ROOM)
            assert room is not None
            assert room.group.authenticator == authenticator
            store.close()
        except ProfileDamaged as refusal:
            assert "move it aside" in refusal.text
            told += 1
        finally:
            found.unlock()
        shutil.rmtree(root)
    print(f"{told} of {size // PAGE} damaged pages were told")
    # The others were not read: an index of what was not searched for, an empty table, a free page.
    assert told > size // PAGE / 2


def test_the_last_page_of_a_long_value_is_told(tmp_path: Path) -> None:
    """SQLCipher itself reads it as zeros, without an error."""
    text = "long " * 2_000
    with opened(tmp_path) as store:
        store.marks.keep_draft(ROOM, text)
    directory = Profile(tmp_path, SERVER, "alice").directory
    path = directory / "store.db"
    sound = path.read_bytes()
    silent = 0
    for number in range(len(sound) // PAGE):
        data = bytearray(sound)
        data[number * PAGE + 1_000] ^= 1
        path.write_bytes(data)
        with held(tmp_path) as alice, suppress(ProfileDamaged):
            store = Store.open(alice, MASTER)
            connection = store._database._connection
            with closing(connection), suppress(driver.Error):
                (found,) = connection.execute("SELECT text FROM drafts").fetchone()
                if found == text:
                    continue
                silent += 1
                with pytest.raises(ProfileDamaged):
                    store.marks.drafts()
    assert silent == 1, "if the driver tells by now, check_sound can go"


@pytest.mark.parametrize("size", [0, 1, 100, PAGE - 1, PAGE, 3 * PAGE + 17])
def test_a_truncated_store_is_told(tmp_path: Path, full: Path, size: int) -> None:
    shutil.copytree(full, tmp_path / "x")
    with held(tmp_path / "x") as alice:
        os.truncate(alice.directory / "store.db", size)
        with pytest.raises(ProfileDamaged):
            texts(Store.open(alice, MASTER))


def test_pages_put_into_each_others_place_are_told(tmp_path: Path, full: Path) -> None:
    shutil.copytree(full, tmp_path / "x")
    with held(tmp_path / "x") as alice:
        path = alice.directory / "store.db"
        data = path.read_bytes()
        pages = [data[at : at + PAGE] for at in range(0, len(data), PAGE)]
        pages[1:] = pages[:0:-1]
        path.write_bytes(b"".join(pages))
        with pytest.raises(ProfileDamaged):
            texts(Store.open(alice, MASTER))


# Versions.

NEXT = (
    "CREATE TABLE extras (id INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT",
    "INSERT INTO extras (note) SELECT text FROM messages",
)


def test_an_older_store_is_migrated_and_the_copy_does_not_stay(tmp_path: Path, full: Path) -> None:
    shutil.copytree(full, tmp_path / "x")
    with held(tmp_path / "x") as alice:
        database = open_database(alice, MASTER, (*STEPS, NEXT))
        with database.reading() as connection:
            assert connection.execute("SELECT count(*) FROM extras").fetchone() == (SAID,)
            assert connection.execute("PRAGMA user_version").fetchone() == (len(STEPS) + 1,)
            assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)
        database.close()
        assert set(files(alice)) == {"store.db"}
        # The version before does not guess.
        before = files(alice)
        with pytest.raises(
            ProfileNewer, match=f"schema {len(STEPS) + 1}, this one knows {len(STEPS)}"
        ):
            Store.open(alice, MASTER)
        assert files(alice) == before


@pytest.mark.parametrize(
    ("step", "error"),
    [
        ((*NEXT, "INSERT INTO nowhere VALUES (1)"), driver.OperationalError),
        ((*NEXT, "DELETE FROM events"), ProfileDamaged),
    ],
)
def test_a_migration_that_fails_leaves_the_old_store(
    tmp_path: Path, full: Path, step: tuple[str, ...], error: type[Exception]
) -> None:
    shutil.copytree(full, tmp_path / "x")
    with held(tmp_path / "x") as alice:
        with pytest.raises(error):
            open_database(alice, MASTER, (*STEPS, step))
        # As it was, and beside it the copy, until somebody has opened it whole.
        assert set(files(alice)) == {"store.db", "store.db.before"}
        assert S_IMODE((alice.directory / "store.db.before").stat().st_mode) == 0o600
        store = Store.open(alice, MASTER)
        assert len(texts(store)) == SAID
        store.close()
        assert set(files(alice)) == {"store.db"}


def test_what_a_process_left_that_was_killed_while_it_made_a_store_is_removed(
    tmp_path: Path,
) -> None:
    with held(tmp_path) as alice:
        for name in ("store.db.new", "store.db.new-wal", "store.db.new-journal"):
            (alice.directory / name).write_bytes(b"half")
        Store.open(alice, MASTER).close()
        assert set(files(alice)) == {"store.db"}


# The disk.


def test_a_full_disk_is_told_and_loses_nothing(tmp_path: Path) -> None:
    """On a disk of a few pages: what was kept is there, and it goes on when there is space."""
    require("mounts")
    ran = subprocess.run(
        [
            *("unshare", "--mount", "sh", "-c"),
            'mount -t tmpfs -o size=480k tmpfs "$1" && exec "$2" -P -m tests.client.store_full "$1"',
            *("sh", str(tmp_path), sys.executable),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    print(ran.stdout, ran.stderr)
    assert ran.returncode == 0
    assert ran.stderr == ""
    assert ran.stdout.splitlines()[-1] == "nothing was lost"


def test_a_disk_too_small_for_a_store_is_told_and_no_store_is_made(tmp_path: Path) -> None:
    """One that lacked pages would be taken for a damaged one at each start."""
    require("mounts")
    program = (
        "import sys; from pathlib import Path; from lairchat.model.faults import ProfileFull\n"
        "from tests.client.stores import opened\n"
        "try:\n    with opened(Path(sys.argv[1])): pass\n"
        "except ProfileFull: print(*Path(sys.argv[1]).rglob('store.db'), 'told')"
    )
    ran = subprocess.run(
        [
            *("unshare", "--mount", "sh", "-c"),
            'mount -t tmpfs -o size=380k tmpfs "$1" && exec "$2" -P -c "$3" "$1"',
            *("sh", str(tmp_path), sys.executable, program),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert (ran.stdout, ran.stderr) == ("told\n", "")


def test_a_file_that_may_not_grow_is_told(tmp_path: Path) -> None:
    alice, bob = talk("alice", "bob")
    with opened(tmp_path) as store:
        move_in(store, alice)
        bob.say("before")
        follow(store, alice.server)
        wal = next(tmp_path.rglob("store.db-wal")).stat().st_size
        kept = store.room(ROOM)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (wal + PAGE, hard))
        try:
            with pytest.raises((ProfileFull, ProfileDisk), match="not kept or sent"):
                seal(store, alice.person, letter("too much " * 400))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, old)
        assert store.outbox() == []
        # What an error left is known by the disk alone.
        read = store.room(ROOM)
        assert read is not kept
        assert read is not None
        assert read.count == 0
        say(store, alice, "after")
        assert texts(store) == ["before", "after"]
    assert isinstance(bob.sync()[-1], Opened)
    assert bob.texts == ["after"]


@pytest.mark.parametrize(
    ("number", "refusal"),
    [
        (errno.ENOSPC, ProfileFull),
        (errno.EDQUOT, ProfileFull),
        (errno.EACCES, ProfileDisk),
        (errno.EIO, ProfileDisk),
    ],
)
def test_what_the_system_says_of_a_disk_is_told(
    tmp_path: Path, number: int, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal), explained_disk(tmp_path):
        raise OSError(number, os.strerror(number))


def test_a_directory_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with held(tmp_path) as alice:
        (alice.directory / "store.db.new").mkdir()
        with pytest.raises(ProfileDisk):
            Store.open(alice, MASTER)
