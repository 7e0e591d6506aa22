"""The first start: what it makes, how private it is, and what it refuses."""

import hashlib
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from lairchat import config, prepare
from lairchat import layout as layouts
from lairchat.features.accounts import tables as accounts
from lairchat.model import faults
from lairchat.model.identity import Link
from lairchat.model.roles import ServerRole
from lairchat.storage.database import Database
from lairchat.transports.ssh_keys import HostKey
from tests.harness import predictable

NOW = 1_800_000_000_000


class Place:
    """A home directory to start in."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environ = {
            "XDG_CONFIG_HOME": str(root / "config"),
            "XDG_DATA_HOME": str(root / "data"),
        }
        self.random: Callable[[int], bytes] = predictable()
        self.now = NOW

    def layout(self, extra: str = "") -> layouts.Layout:
        if extra:
            path = self.root / "config" / "lairchat" / "lairchat.toml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(extra)
        return layouts.locate(None, None, self.environ, self.root)

    def start(self, extra: str = "") -> prepare.Prepared:
        return prepare.prepare(
            self.layout(extra),
            environ=self.environ,
            home=self.root,
            now=self.now,
            random=self.random,
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    port = free_port()
    place = Place(tmp_path)
    place.environ["LAIRCHAT_CONFIG"] = str(tmp_path / "port.toml")
    (tmp_path / "port.toml").write_text(
        f'[listen.chat]\nendpoint = "tcp:{port}:interface=127.0.0.1"\n'
    )
    return place


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_first_start_makes_everything_private_and_says_so(place: Place) -> None:
    del place.environ["LAIRCHAT_CONFIG"]
    config_path = place.root / "config" / "lairchat" / "lairchat.toml"
    prepared = place.start()
    data = place.root / "data" / "lairchat"
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert {path.name for path in data.iterdir()} >= {
        "identity.pem",
        "tls.pem",
        "lair.db",
        "lock",
        "owner-link",
        "ssh_host_ed25519_key",
    }
    for path in [*data.iterdir(), config_path]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert config_path.read_text() == config.template()
    assert prepared.layout.config_path == config_path  # what a reload is to read
    page = prepared.page(secret=True)
    words = " ".join(prepared.server_id.words())
    for expected in ("first start", str(config_path), words, "ECDSA P-256", "397 days", "schema"):
        assert expected in page
    assert max(map(len, page.splitlines())) < 140
    link = Link.parse(next(part for part in page.split("'") if part.startswith("lair://")))
    assert prepared.server_id.matches(link.id_prefix)
    assert (link.host, link.port) == ("127.0.0.1", 7023)
    assert f"{prepare.how_to_run('lair')} doctor 127.0.0.1\n" in page + "\n"
    control = f"{prepare.how_to_run('lairctl')} "
    for pasted in (
        f"{control}invite create\n",
        f"{control}user key add NAME ~/.ssh/id_ed25519.pub\n",
        "ssh -p 7024 NAME@127.0.0.1\n",
    ):
        assert pasted in page + "\n"
    assert link.code not in prepared.page(secret=False)
    assert "$(cat " in prepared.page(secret=False)
    host_key = HostKey.load(data / "ssh_host_ed25519_key")
    assert f"  created  SSH host key ed25519  {host_key.fingerprint}\n" in page
    assert page.endswith(" ssh -p 7024 NAME@127.0.0.1")


@pytest.mark.parametrize(
    ("lines", "how"),
    [
        ('endpoint = "tcp:2222"', "ssh -p 2222 NAME@localhost"),
        ('endpoint = "tcp:2222:interface=0.0.0.0"', "ssh -p 2222 NAME@localhost"),
        (r'endpoint = "tcp6:2222:interface=\\:\\:1"', "ssh -p 2222 NAME@::1"),
        ('endpoint = "tcp:0:interface=127.0.0.1"', None),
        ('endpoint = "unix:/run/lairchat/ssh"', None),
        ("enabled = false", None),
    ],
)
def test_the_page_says_how_to_reach_the_shell(place: Place, lines: str, how: str | None) -> None:
    port = Path(place.environ["LAIRCHAT_CONFIG"])
    port.write_text(f"{port.read_text()}[ssh]\n{lines}\n")
    page = place.start().page(secret=True)
    assert ("SSH shell" in page) == (how is not None)
    assert how is None or page.endswith(how)
    assert ("SSH host key" in page) == ("enabled" not in lines)


def test_a_second_start_finds_everything_as_it_was(place: Place) -> None:
    first = place.start()
    kept = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (
            place.layout().identity,
            place.layout().certificate,
            place.layout().ssh_host_key,
        )
    }
    second = place.start()
    assert not second.first
    assert second.server_id == first.server_id
    assert second.link == first.link
    assert second.made == []
    for path in (
        place.layout().identity,
        place.layout().certificate,
        place.layout().ssh_host_key,
    ):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == kept[path.name]
    assert "first start" not in second.page(secret=True)


@pytest.mark.parametrize("name", ["owner_link", "certificate", "ssh_host_key"])
def test_a_secret_that_others_can_read_is_refused_with_a_code(place: Place, name: str) -> None:
    place.start()
    path: Path = getattr(place.layout(), name)
    path.chmod(0o644)
    with pytest.raises(faults.StartPermission, match="others may read it"):
        place.start()
    path.unlink()
    path.mkdir()
    with pytest.raises(faults.StartPermission, match="directory"):
        place.start()


def test_a_link_that_cannot_be_read_is_made_anew(place: Place) -> None:
    first = place.start()
    place.layout().owner_link.write_bytes(b"\xff\x00 no link")
    second = place.start()
    assert second.link not in {None, first.link}
    assert place.layout().owner_link.read_text().strip() == second.link


def test_a_later_start_says_what_it_made_too(place: Place) -> None:
    place.start()
    place.layout().database.unlink()
    page = place.start().page(secret=False)
    assert "first start" not in page
    assert "created  database" in page


def test_the_link_is_renewed_when_it_has_run_out_and_gone_when_used(place: Place) -> None:
    first = place.start()
    place.now += 25 * 3600 * 1000
    second = place.start()
    assert second.link != first.link
    make_owner(place.layout().database)
    third = place.start()
    assert third.link is None
    assert not place.layout().owner_link.exists()
    assert "owner" not in third.page(secret=True)


def make_owner(path: Path) -> None:
    database = Database.open(f"sqlite:///{path}", reactor=Clock(), inline=True)

    def change(connection: Any) -> None:
        connection.execute(
            accounts.users.insert().values(
                name="alice",
                name_key="alice",
                skeleton="alice",
                role=int(ServerRole.OWNER),
                state=0,
                secret="x",
                created_at=0,
            )
        )

    database.call(change)
    database.pump()
    database.close()


def test_the_own_certificate_is_renewed_before_it_ends(place: Place) -> None:
    place.start()
    layout = place.layout()
    before = prepare.load_certificate(layout, NOW).facts
    later = before.not_after - 10 * 86_400_000
    after = prepare.load_certificate(layout, later).facts
    assert after.not_after > before.not_after
    assert after.spki_sha256 != before.spki_sha256


def test_an_operators_certificate_is_used(place: Place, tmp_path: Path) -> None:
    place.start()
    pem = place.layout().certificate
    own = tmp_path / "own.pem"
    own.write_bytes(pem.read_bytes())
    own.chmod(0o600)
    place.environ["LAIRCHAT_TLS_CERTIFICATE"] = str(own)
    facts = prepare.load_certificate(place.layout(), NOW).facts
    assert facts.self_signed
    place.environ["LAIRCHAT_TLS_KEY"] = "/no/such/key.pem"
    with pytest.raises(faults.StartCertificate):
        place.start()


@pytest.mark.parametrize("mode", [0o755, 0o770])
def test_a_directory_that_others_may_enter_is_refused(place: Place, mode: int) -> None:
    place.start()
    place.layout().data.chmod(mode)
    with pytest.raises(faults.StartPermission, match="others may look into it"):
        place.start()


def test_a_file_in_the_directorys_place_is_refused(place: Place) -> None:
    data = place.layout().data
    data.parent.mkdir(parents=True)
    data.write_text("")
    with pytest.raises(faults.StartPermission, match="not a directory"):
        place.start()
    data.unlink()
    data.parent.rmdir()
    data.parent.write_text("")
    with pytest.raises(faults.StartPermission):
        place.start()


def test_somebody_elses_directory_is_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.start()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(faults.StartPermission, match="somebody else"):
        place.start()


def test_a_second_daemon_is_refused_with_the_first_ones_number(place: Place) -> None:
    place.start()
    with (
        prepare.locked(place.layout().lock),
        pytest.raises(faults.StartLock, match=f"process {os.getpid()}"),
    ):
        place.start()
    place.start()


def test_a_lock_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    with pytest.raises(faults.StartPermission):
        prepare.take_lock(tmp_path / "missing" / "lock")


@pytest.mark.parametrize("door", ["listen.chat", "ssh", "http"])
def test_a_taken_port_is_refused_with_a_next_step(place: Place, door: str) -> None:
    free = "".join(
        f'[{other}]\nendpoint = "tcp:0:interface=127.0.0.1"\n'
        for other in ("listen.chat", "ssh", "http")
        if other != door
    )
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        (place.root / "port.toml").write_text(
            f'{free}[{door}]\nendpoint = "tcp:{port}:interface=127.0.0.1"\n'
            '[listen.unix]\nendpoint = "unix:/nowhere/socket"\ntls = false\n'
        )
        with pytest.raises(faults.StartPort, match=f"sport = :{port}"):
            place.start()


@pytest.mark.parametrize(
    ("endpoint", "name", "address"),
    [
        ("tcp:7023:interface=127.0.0.1", "localhost", ("127.0.0.1", 7023)),
        ("tcp:port=7100", "localhost", ("localhost", 7100)),
        ("tcp:7023", "chat.example.org", ("chat.example.org", 7023)),
        ("tcp:7023:interface=127.0.0.1", "chat.example.org", ("chat.example.org", 7023)),
        ("unix:/run/lair", "localhost", ("localhost", 7023)),
    ],
)
def test_the_address_that_links_carry(
    place: Place, endpoint: str, name: str, address: tuple[str, int]
) -> None:
    (place.root / "port.toml").write_text(
        f'[server]\nname = "{name}"\n[listen.chat]\nendpoint = "{endpoint}"\n'
    )
    assert place.layout().address() == address


def test_named_places_win(place: Place, tmp_path: Path) -> None:
    (place.root / "port.toml").write_text('[storage]\ndatabase = "other.db"\n')
    layout = layouts.locate(None, str(tmp_path / "named"), place.environ, place.root)
    assert layout.data == tmp_path / "named"
    assert layout.database == tmp_path / "named" / "other.db"
    assert layout.log.name == "lairchat.log"


def test_a_damaged_database_is_refused(place: Place) -> None:
    place.start()
    place.layout().database.write_bytes(b"nonsense" * 1000)
    with pytest.raises(faults.StartBroken):
        place.start()


def test_a_lost_identity_is_never_replaced_beside_a_database(place: Place) -> None:
    place.start()
    place.layout().identity.unlink()
    with pytest.raises(faults.StartBroken, match="it is gone"):
        place.start()
    assert not place.layout().identity.exists()


def test_what_is_to_be_pasted_runs_where_it_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = tmp_path / "a checkout"
    module = checkout / "lairchat" / "prepare.py"
    monkeypatch.setattr(prepare, "__file__", str(module))
    monkeypatch.chdir(tmp_path)
    assert prepare.how_to_run("lair") == "lair", "installed: there is no launcher"
    (checkout / "bin").mkdir(parents=True)
    (checkout / "bin" / "lair").touch()
    assert prepare.how_to_run("lair") == "lair", "what only looks like a checkout"
    (checkout / "setup.py").touch()
    assert prepare.how_to_run("lair") == f"'{checkout}/bin/lair'"
    monkeypatch.chdir(checkout)
    assert prepare.how_to_run("lair") == "bin/lair"
    assert prepare.how_to_run("lairctl") == "lairctl"


@pytest.mark.parametrize("door", ["ssh", "http"])
def test_a_taken_port_of_an_operators_door_is_refused_too(place: Place, door: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        text = f'[{door}]\nendpoint = "tcp:{port}:interface=127.0.0.1"\n'
        (place.root / "port.toml").write_text(text)
        with pytest.raises(faults.StartPort, match=f"sport = :{port}"):
            place.start()
        others = "".join(
            f'[{name}]\nendpoint = "tcp:0:interface=127.0.0.1"\n'
            for name in {"ssh", "http", "listen.chat"} - {door}
        )
        (place.root / "port.toml").write_text(f"{others}{text}enabled = false\n")
        place.start()


def test_a_server_in_an_unusual_place_is_named_to_lairctl(place: Place, tmp_path: Path) -> None:
    place.environ["XDG_DATA_HOME"] = str(tmp_path / "else where")
    layout = layouts.locate(None, str(tmp_path / "data here"), place.environ, place.root)
    prepared = prepare.prepare(
        layout, environ=place.environ, home=place.root, now=NOW, random=place.random
    )
    data = f"--data '{tmp_path}/data here'"
    assert f"lairctl {data} invite create\n" in prepared.page(secret=True)


def test_a_rehearsal_of_the_own_certificate_needs_a_directory_to_write_to(place: Place) -> None:
    layout = place.layout()
    with pytest.raises(faults.StartPermission, match="nothing can be written there"):
        prepare.rehearse_certificate(layout, NOW)
    layout.data.mkdir(parents=True)
    assert prepare.rehearse_certificate(layout, NOW).facts.self_signed
    assert list(layout.data.iterdir()) == []
