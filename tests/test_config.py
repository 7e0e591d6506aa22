"""The configuration: every key documented, every mistake located, the environment on top."""

import tomllib
from pathlib import Path

import msgspec
import pytest

from lairchat import config
from lairchat.model import faults


def refused(text: str, environ: dict[str, str] | None = None) -> str:
    """Return what a text is refused with."""
    with pytest.raises(faults.Config) as caught:
        config.parse(text, "etc/lairchat.toml", environ or {})
    return str(caught.value)


@pytest.mark.parametrize(
    ("endpoint", "port"),
    [
        ("tcp:7023:interface=127.0.0.1", 7023),
        ("tcp:65535", 65535),
        ("tcp:65536", None),
        ("tcp:interface=127.0.0.1:port=80", 80),
        ("tcp6:7023:interface=\\:\\:1", 7023),
        ("tcp:\u00b2", None),
        ("tcp:", None),
    ],
)
def test_the_port_of_an_endpoint(endpoint: str, port: int | None) -> None:
    assert config.tcp_port(endpoint) == port


def test_a_network_in_the_environment_is_checked_too() -> None:
    said = refused("", {"LAIRCHAT_LIMITS_EXEMPT": "10.0.0.0/8, home"})
    assert "environment variable LAIRCHAT_LIMITS_EXEMPT" in said
    assert "home" in said


def test_no_configuration_is_the_defaults() -> None:
    assert config.parse("", "x", {}) == config.Config()
    assert config.load(None, {}) == config.Config()


def test_the_template_shows_every_key_at_its_default() -> None:
    text = config.template()
    bare = "\n".join(
        line[1:] if line.startswith("#") and not line.startswith("# ") else line
        for line in text.splitlines()
    )
    assert config.parse(bare, "template", {}) == config.Config()
    for section, key, meaning in config.every_key():
        assert f"\n#{key} = " in text, key
        assert meaning, f"{section}.{key} says nothing"
        assert f"# {meaning}\n" in text
    assert config.parse(text, "template", {}) == config.Config()


@pytest.mark.parametrize(
    ("text", "place", "advice"),
    [
        ('[listen.chat]\nendpiont = "x"\n', "etc/lairchat.toml:2:1", 'Did you mean "endpoint"?'),
        ('[listen.chat]\n  endpiont = "x"\n', "etc/lairchat.toml:2:3", 'Did you mean "endpoint"?'),
        ('[servre]\nname = "x"\n', "etc/lairchat.toml:1:1", 'Did you mean "server"?'),
        ("nonsense = 1\n", "etc/lairchat.toml:1:1", "Known here: server, listen"),
        ("[limits]\n\nmessage_burst = 0\n", "etc/lairchat.toml:3:1", "--print-config"),
        ('[limits]\nmessage_burst = "10"\n', "etc/lairchat.toml:2:1", "--print-config"),
        ('[accounts]\nregistration = "maybe"\n', "etc/lairchat.toml:2:1", "--print-config"),
        ('[server]\nname = "two words"\n', "etc/lairchat.toml:2:1", "--print-config"),
        ("[tls\n", "etc/lairchat.toml:1:", "toml.io"),
        ("x = = 1\n", "etc/lairchat.toml:1:5", "toml.io"),
        ("[listen.a]\ntls = true\n[listen.b]\ntls = 3\n", "etc/lairchat.toml:4:1", ""),
        ("listen = 3\n", "etc/lairchat.toml:1:1", ""),
        ("limits.message_burst = 0\n", "etc/lairchat.toml:1:1", ""),
        ("[limits]\nexempt = [1]\n", "etc/lairchat.toml:2:1", ""),
        ('[limits]\nexempt = ["home"]\n', "etc/lairchat.toml:2:1", "10.0.0.0/8"),
        ('[limits]\nexempt = ["10.0.0.1/8"]\n', "etc/lairchat.toml:2:1", "host bits"),
        ('[listen.a]\nendpoint = "tcp:99999"\n', "etc/lairchat.toml:2:1", "tcp:7023"),
        ('[listen.a]\nendpoint = "tcp:port=abc"\n', "etc/lairchat.toml:2:1", "tcp:7023"),
        ('[listen.a]\nendpoint = "tcp:interface=::"\n', "etc/lairchat.toml:2:1", "tcp:7023"),
    ],
)
def test_a_mistake_is_located_and_comes_with_advice(text: str, place: str, advice: str) -> None:
    said = refused(text)
    assert said.startswith("LC-CFG  ")
    assert place in said, said
    assert advice in said, said


def test_every_key_is_checked() -> None:
    """A value of a wrong type at each key is refused with that key's name (ux target 19)."""
    for section, key, _ in config.every_key():
        said = refused(f"[{section}]\n{key} = {{ wrong = 1 }}\n")
        assert f'"{key}"' in said or "wrong" in said, said
        assert "etc/lairchat.toml:2:1" in said


def test_the_environment_overrides_the_file() -> None:
    text = "[limits]\nmessage_burst = 5\n"
    environ = {
        "LAIRCHAT_LIMITS_MESSAGE_BURST": "77",
        "LAIRCHAT_LIMITS_EXEMPT": "10.0.0.0/8, ::1/128",
        "LAIRCHAT_ACCOUNTS_REGISTRATION": "open",
        "LAIRCHAT_CONFIG": "/somewhere",
        "HOME": "/root",
    }
    found = config.parse(text, "x", environ)
    assert found.limits.message_burst == 77
    assert found.limits.exempt == ["10.0.0.0/8", "::1/128"]
    assert found.accounts.registration == "open"


def test_a_wrong_variable_is_an_error_and_not_ignored() -> None:
    assert "Did you mean LAIRCHAT_LIMITS_MESSAGE_BURST" in refused(
        "", {"LAIRCHAT_LIMIT_MESSAGE_BURST": "1"}
    )
    assert "names no key" in refused("", {"LAIRCHAT_ZZZZZZZ": "1"})
    said = refused("", {"LAIRCHAT_LIMITS_MESSAGE_BURST": "many"})
    assert "environment variable LAIRCHAT_LIMITS_MESSAGE_BURST" in said


def test_where_a_configuration_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    system = tmp_path / "etc"
    system.mkdir()
    monkeypatch.setattr(config, "SYSTEM_DIRECTORY", system)
    assert config.find(None, {}, home) is None
    (system / "lairchat.toml").write_text("")
    assert config.find(None, {}, home) == system / "lairchat.toml"
    own = config.user_config({}, home)
    own.parent.mkdir(parents=True)
    own.write_text("")
    assert config.find(None, {}, home) == own
    xdg = {"XDG_CONFIG_HOME": str(tmp_path / "xdg"), "XDG_DATA_HOME": str(tmp_path / "data")}
    assert config.user_config(xdg, home) == tmp_path / "xdg" / "lairchat" / "lairchat.toml"
    assert config.default_data(xdg, home) == tmp_path / "data" / "lairchat"
    named = tmp_path / "named.toml"
    named.write_text("[log]\nlevel = 'warn'\n")
    assert config.find(None, {"LAIRCHAT_CONFIG": str(named)}, home) == named
    assert config.find(str(named), {}, home) == named
    assert list(config.candidates({"LAIRCHAT_CONFIG": "/x"}, home)) == [Path("/x")]
    assert config.load(named, {}).log.level == "warn"


def test_a_named_file_must_exist_and_be_readable(tmp_path: Path) -> None:
    with pytest.raises(faults.Config, match="there is no such file"):
        config.find("/no/such/file.toml", {}, tmp_path)
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b"# caf\xe9\n")
    with pytest.raises(faults.Config, match="not UTF-8 at byte 5"):
        config.load(latin, {})
    with pytest.raises(faults.Config, match="cannot be read"):
        config.load(tmp_path, {})


def test_the_template_is_toml() -> None:
    assert tomllib.loads(config.template()).keys() <= {
        field.name for field in msgspec.structs.fields(config.Config)
    }


def test_a_key_that_is_nowhere_in_the_text_is_placed_at_its_table() -> None:
    assert config.locate("[a]\nx = 1\n[b.c]\ny = 2\n", ["b", "c", "z"]) == (3, 1)
    assert config.locate("", ["a"]) == (1, 1)
    assert config.locate("[a]\nb = { c = 1 }\n", ["a", "b", "c"]) == (2, 1)


def test_the_sample_in_etc_is_the_template() -> None:
    sample = Path(__file__).resolve().parent.parent / "etc" / "lairchat.toml"
    assert sample.read_text("utf-8") == config.template()
