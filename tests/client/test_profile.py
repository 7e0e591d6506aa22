"""Profiles: private, one process at a time, and never a traceback for a broken file."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lairchat.client.profile import (
    SOCKET_PATH_BYTES,
    KnownServers,
    Profile,
    Session,
    home,
    profiles,
    require_private,
)
from lairchat.client.sendqueue import SendQueue
from lairchat.model import limits
from lairchat.model.faults import ProfileBroken, ProfileLocked
from lairchat.model.identity import ServerId
from lairchat.model.ids import command_id

SERVER = ServerId(bytes(range(32)))
OTHER = ServerId(bytes(32))
SESSION = Session("Alice", 7, 8, b"t" * 48)


@pytest.fixture(name="profile")
def _profile(tmp_path: Path) -> Profile:
    return Profile(tmp_path / "lair", SERVER, "Alice")


def modes(root: Path) -> set[tuple[str, int]]:
    return {
        ("directory" if path.is_dir() else "file", stat.S_IMODE(path.stat().st_mode))
        for path in [root, *root.rglob("*")]
    }


def test_where_profiles_are(tmp_path: Path) -> None:
    assert home({"LAIR_HOME": "/x/y"}, tmp_path) == Path("/x/y")
    assert home({"LAIR_HOME": "y"}, tmp_path) == Path.cwd() / "y"
    assert home({"XDG_DATA_HOME": "/data"}, tmp_path) == Path("/data/lair")
    assert home({}, tmp_path) == tmp_path / ".local" / "share" / "lair"


def test_everything_is_private_whatever_the_umask(tmp_path: Path) -> None:
    root = tmp_path / "deep" / "lair"
    before = os.umask(0)
    try:
        known = KnownServers(root)
        known.remember("h", 1, SERVER)
        known.used("h", 1, "alice")
        profile = Profile(root, SERVER, "alice")
        profile.lock()
        profile.keep_session(SESSION)
        profile.keep_outbox([{"text": "x"}])
        profile.keep_setting("bell", "off")
        profile.unlock()
    finally:
        os.umask(before)
    assert modes(tmp_path / "deep") == {("directory", 0o700), ("file", 0o600)}
    assert not list(root.rglob(".*")), "temporary files are left"


def test_what_is_kept(profile: Profile) -> None:
    assert profile.session() is None
    assert profile.settings() == {}
    assert profile.outbox() == []
    profile.keep_session(SESSION)
    kept = profile.session()
    assert kept is not None
    assert (kept.name, kept.user, kept.device, kept.token) == ("Alice", 7, 8, b"t" * 48)
    assert "tttt" not in repr(kept)
    assert "Alice" in repr(kept)
    assert repr(profile) == f"Profile('Alice' at {SERVER.short})"
    assert list(profiles(profile.directory.parents[2])) == [(SERVER.hex[:32].lower(), "alice")]
    profile.drop_session()
    profile.drop_session()
    assert profile.session() is None
    profile.keep_outbox([{"a": 1}])
    assert profile.outbox() == [{"a": 1}]
    profile.keep_outbox([])
    assert not (profile.directory / "outbox.json").exists()
    profile.keep_setting("a", "1")
    profile.keep_setting("b", "2")
    assert profile.settings() == {"a": "1", "b": "2"}


def test_a_queue_that_could_not_be_read_again_is_not_kept(profile: Profile) -> None:
    """The one before stays: a file of which only half is read would be a damaged profile."""
    before = [{"text": "x"}]
    profile.keep_outbox(before)
    with pytest.raises(ProfileBroken, match="too large"):
        profile.keep_outbox([{"text": "\U0001f600" * limits.MESSAGE_CHARS}] * 100)
    assert profile.outbox() == before
    assert not list(profile.directory.glob(".*"))


def test_two_processes_that_remember_at_once(tmp_path: Path) -> None:
    """Neither loses what the other has put in: it would be asked for again, of anybody."""
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from lairchat.client.profile import KnownServers\n"
        "from lairchat.model.identity import ServerId\n"
        "known = KnownServers(Path(sys.argv[1]))\n"
        "input()\n"
        "for port in range(int(sys.argv[2]), int(sys.argv[2]) + 40):\n"
        "    known.remember('h.example', port, ServerId(bytes(32)))\n"
        "    known.used('h.example', port, 'alice')\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path), str(first)],
            stdin=subprocess.PIPE,
            env=environment,
        )
        for first in (100, 200, 300)
    ]
    for one in running:
        assert one.stdin is not None
        one.stdin.write(b"\n")
        one.stdin.flush()
    for one in running:
        one.communicate()
        assert one.returncode == 0
    known = KnownServers(tmp_path)
    for first in (100, 200, 300):
        for port in range(first, first + 40):
            assert known.pin("h.example", port) is not None, port
            assert known.account("h.example", port) == "alice"


@pytest.mark.parametrize("name", ["../../x", "", "a/b", ".", "al\x00ice", "x" * 65, "al ice"])
def test_a_name_never_leaves_the_directory(tmp_path: Path, name: str) -> None:
    with pytest.raises(ProfileBroken):
        Profile(tmp_path, SERVER, name)


def test_the_lock_is_one_processs(profile: Profile) -> None:
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from lairchat.client.profile import Profile\nfrom lairchat.model.identity import ServerId\n"
        "profile = Profile(Path(sys.argv[1]), ServerId(bytes(range(32))), 'ALICE')\n"
        "try:\n    profile.lock()\nexcept Exception as refusal:\n    print(refusal.code)\n"
        "else:\n    print('taken')\n"
    )

    def other() -> str:
        root = str(profile.directory.parents[2])
        command = [sys.executable, "-c", program, root]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
        return done.stdout.strip()

    assert not profile.locked
    profile.lock()
    assert profile.locked
    assert other() == "LC-PROFILE-LOCKED"
    with pytest.raises(ProfileLocked):
        Profile(profile.directory.parents[2], SERVER, "alice").lock()
    profile.unlock()
    profile.unlock()
    assert other() == "taken"


def test_what_was_half_written_is_removed_by_whoever_takes_the_lock(profile: Profile) -> None:
    profile.keep_setting("a", "b")
    stale = {f".{name}.json.{pid}" for name in ("outbox", "session") for pid in (1, 2**22)}
    others = {".outbox.json", ".outbox.json.1.kept", "outbox.json.1", ".notes.json.1", "mine"}
    for name in stale | others:
        (profile.directory / name).write_text("secret")
    outside = profile.directory.parent / "outside"
    outside.write_text("not ours")
    (profile.directory / ".settings.json.7").symlink_to(outside)

    profile.lock()
    assert {one.name for one in profile.directory.iterdir()} == {"lock", "settings.json", *others}
    assert outside.read_text() == "not ours"

    (profile.directory / ".outbox.json.9").write_text("being written")
    with pytest.raises(ProfileLocked):
        Profile(profile.directory.parents[2], SERVER, "alice").lock()
    assert (profile.directory / ".outbox.json.9").exists()
    profile.unlock()


def test_what_cannot_be_removed_is_said_and_the_lock_given_back(profile: Profile) -> None:
    (profile.directory / ".outbox.json.9").mkdir(parents=True)
    for _ in range(2):
        with pytest.raises(ProfileBroken, match="is a directory"):
            profile.lock()
        assert not profile.locked


def test_a_child_does_not_inherit_the_lock(profile: Profile) -> None:
    profile.lock()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        profile.unlock()
        profile.lock()
        assert child.poll() is None
        assert profile.locked
    finally:
        child.communicate(b"\n")
        profile.unlock()


BROKEN = [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"a":']


@pytest.mark.parametrize("data", BROKEN)
def test_broken_files(profile: Profile, data: bytes) -> None:
    root = profile.directory.parents[2]
    profile.keep_setting("a", "b")
    for name in ("session.json", "outbox.json", "settings.json"):
        (profile.directory / name).write_bytes(data)
    for name in ("servers.json", "last.json"):
        (root / name).write_bytes(data)
    known = KnownServers(root)
    for read in (
        profile.session,
        profile.outbox,
        profile.settings,
        known.last,
        lambda: known.pin("h", 1),
        lambda: known.account("h", 1),
        lambda: profile.keep_setting("a", "b"),
        lambda: known.remember("h", 1, SERVER),
    ):
        with pytest.raises(ProfileBroken):
            read()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("session.json", []),
        ("session.json", {"name": "a"}),
        ("session.json", {"name": "a", "user": 1, "device": 1, "token": "*"}),
        ("session.json", {"name": "a", "user": 1, "device": 1, "token": "AAAA"}),
        ("session.json", {"name": "a", "user": None, "device": 1, "token": "A" * 64}),
    ],
)
def test_a_session_that_is_none(profile: Profile, name: str, value: object) -> None:
    profile.keep_setting("a", "b")
    (profile.directory / name).write_text(json.dumps(value))
    with pytest.raises(ProfileBroken):
        profile.session()


@pytest.mark.parametrize(
    "value", [[], {"[h]:1": 3}, {"[h]:1": {}}, {"[h]:1": {"id": 3}}, {"[h]:1": {"id": "zz"}}]
)
def test_servers_that_are_none(tmp_path: Path, value: object) -> None:
    (tmp_path / "servers.json").write_text(json.dumps(value))
    with pytest.raises(ProfileBroken):
        KnownServers(tmp_path).pin("h", 1)


def test_last_that_is_none(tmp_path: Path) -> None:
    for value in ([], {}, {"host": "h", "port": "x", "account": "a"}):
        (tmp_path / "last.json").write_text(json.dumps(value))
        with pytest.raises(ProfileBroken):
            KnownServers(tmp_path).last()


def test_which_rooms_are_encrypted_is_kept_and_never_guessed(profile: Profile) -> None:
    assert profile.encrypted() == set()
    profile.keep_encrypted({7, 3})
    assert profile.encrypted() == {3, 7}
    for damaged in ("{}", '["3"]', "[3"):
        (profile.directory / "encrypted.json").write_text(damaged)
        with pytest.raises(ProfileBroken):
            profile.encrypted()


def test_other_shapes_are_empty(profile: Profile) -> None:
    profile.keep_setting("a", "b")
    (profile.directory / "outbox.json").write_text("{}")
    (profile.directory / "settings.json").write_text("[]")
    assert profile.outbox() == []
    assert profile.settings() == {}


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "lair").write_text("a file")
    profile = Profile(tmp_path / "lair", SERVER, "alice")
    for act in (
        profile.lock,
        lambda: profile.keep_session(SESSION),
        lambda: KnownServers(tmp_path / "lair").remember("h", 1, SERVER),
    ):
        with pytest.raises(ProfileBroken):
            act()


def test_a_file_in_the_way(profile: Profile) -> None:
    profile.keep_setting("a", "b")
    for name in ("session.json", "outbox.json", "lock"):
        (profile.directory / name).mkdir()
    for act in (
        lambda: profile.keep_session(SESSION),
        profile.drop_session,
        profile.session,
        lambda: profile.keep_outbox([]),
        profile.lock,
    ):
        with pytest.raises(ProfileBroken):
            act()


def test_known_servers(tmp_path: Path) -> None:
    known = KnownServers(tmp_path)
    assert known.pin("h", 1) is None
    assert known.account("h", 1) is None
    assert known.last() is None
    known.used("h", 1, "nobody")  # never remembered: last only
    assert known.account("h", 1) is None
    known.remember("h", 1, SERVER)
    known.used("h", 1, "alice")
    known.used("h", 1, "alice")
    assert known.pin("h", 1) == SERVER
    assert known.pin("h", 2) is None
    assert known.account("h", 1) == "alice"
    assert known.last() == ("h", 1, "alice")
    # Another process replaces the pin meanwhile: ours neither misses nor undoes it.
    KnownServers(tmp_path).remember("h", 1, OTHER)
    KnownServers(tmp_path).remember("other", 1, OTHER)
    assert known.pin("h", 1) == OTHER
    known.remember("third", 1, SERVER)
    assert known.pin("other", 1) == OTHER


def test_the_path_of_the_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Profile(Path("/l"), SERVER, "alice").socket.name == "socket"
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    long = Profile(Path("/l" * 60), SERVER, "alice")
    assert long.socket.parent == Path("/run/user/7")
    assert len(os.fsencode(long.socket)) <= SOCKET_PATH_BYTES
    assert long.socket != Profile(Path("/l" * 61), SERVER, "alice").socket
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert long.socket.parent == Path(f"/tmp/lair-{os.getuid()}")


# -- the queue's own file ----------------------------------------------------------------------------


def queue(kept: list[object]) -> SendQueue:
    return SendQueue(kept.append, lambda: 1_000_000_000, lambda size: b"r" * size)


def test_a_queue_is_kept_before_anything_leaves() -> None:
    kept: list[object] = []
    one = queue(kept).add(1, 5, "text", action=True)
    assert kept == [
        [
            {
                "room": 5,
                "text": "text",
                "key": one.key.hex(),
                "at": 1_000_000_000,
                "action": True,
                "failed": "",
            }
        ]
    ]
    assert "text" not in repr(one)


def test_what_cannot_be_read_is_left_out() -> None:
    sound = {"room": 1, "text": "x", "key": "00" * 16, "at": 1}
    made = queue([])
    made.restore(
        [
            7,
            [],
            "x",
            None,
            {},
            {**sound, "key": "00"},
            {**sound, "key": 5},
            {**sound, "room": "one"},
            sound,
        ]
    )
    assert [(one.ticket, one.text) for one in made] == [(-9, "x")]


def test_keys_of_other_programs() -> None:
    made = queue([])
    near = command_id(1_000_000_000 + 1000, b"n" * 10)
    assert made.add(-1, 5, "x", key=near).key == near
    far = command_id(5, b"f" * 10)
    given = made.add(-2, 5, "y", key=far)
    assert given.key == command_id(1_000_000_000, b"f" * 10)
    assert made.by_key(far) is given
    assert made.by_key(command_id(5, b"g" * 10)) is None
    assert len(made) == 2


def test_refusals() -> None:
    made = queue([])
    made.add(1, 5, "x")
    made.add(2, 5, "y")
    made.refuse(1, "LC-X")
    made.refuse(9, "LC-X")
    following = made.next()
    assert following is not None
    assert following.ticket == 2
    made.retry(1)
    assert [one.ticket for one in made] == [2, 1]
    made.remove(2)
    made.remove(2)
    made.remove(1)
    assert made.next() is None


def test_a_directory_for_the_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ours and nobody else may use it, nor has anybody else led us there by a link."""
    directory, link = tmp_path / "run", tmp_path / "link"
    directory.mkdir(mode=0o700)
    link.symlink_to(directory)
    require_private(directory)
    require_private(link)
    for mode in (0o710, 0o701, 0o777):
        directory.chmod(mode)
        for one in (directory, link):
            with pytest.raises(ProfileBroken, match="others may use it"):
                require_private(one)
    directory.chmod(0o700)
    with pytest.raises(ProfileBroken, match="no such file"):
        require_private(tmp_path / "missing")
    ours = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: ours + 1)
    with pytest.raises(ProfileBroken, match="others may use it"):
        require_private(directory)
    if ours == 0:
        monkeypatch.undo()
        os.lchown(link, 65534, 65534)
        with pytest.raises(ProfileBroken, match="others may use it"):
            require_private(link)
