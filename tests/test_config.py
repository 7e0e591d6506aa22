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
        ("[limits]\n\nmessage_burst = 0\n", "etc/lairchat.toml:3:1", "a whole number from 1 to"),
        ('[limits]\nmessage_burst = "10"\n', "etc/lairchat.toml:2:1", "a whole number from 1 to"),
        (
            '[accounts]\nregistration = "maybe"\n',
            "etc/lairchat.toml:2:1",
            'takes "open", "invite", "closed"',
        ),
        ('[server]\nname = "two words"\n', "etc/lairchat.toml:2:1", "form. Host name that"),
        ("[tls\n", "etc/lairchat.toml:1:", "toml.io"),
        ("x = = 1\n", "etc/lairchat.toml:1:5", "toml.io"),
        (
            "[listen.chat]\n[listen.chat]\n",
            "etc/lairchat.toml:2:13",
            "[listen.chat] twice. Put its",
        ),
        ("[listen.a]\ntls = true\n[listen.b]\ntls = 3\n", "etc/lairchat.toml:4:1", ""),
        ("listen = 3\n", "etc/lairchat.toml:1:1", "--print-config"),
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
    monkeypatch.setattr("lairchat.config.loading.SYSTEM_DIRECTORY", system)
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


# -- JSON, with the same schema --------------------------------------------------------------------


def refused_json(text: str) -> str:
    """Return what a JSON text is refused with."""
    with pytest.raises(faults.Config) as caught:
        config.parse(text, "etc/lairchat.json", {})
    return str(caught.value)


def test_json_has_the_same_schema() -> None:
    tree = msgspec.to_builtins(config.Config())
    text = msgspec.json.format(msgspec.json.encode(tree), indent=2).decode()
    assert config.parse(text, "x.json", {}) == config.Config()
    some = '{"limits": {"message_burst": 7, "message_per_second": 2}, "ssh": {"manhole": true}}'
    found = config.parse(some, "x.json", {})
    assert (found.limits.message_burst, found.limits.message_per_second) == (7, 2)
    assert found.ssh.manhole
    assert config.parse("", "x.json", {}) == config.Config()


@pytest.mark.parametrize(
    ("text", "place", "advice"),
    [
        ('{\n  "log": {"levle": "info"}\n}', ":2:11", 'Did you mean "level"?'),
        ('{\n  "log": {"level": "loud"}\n}', ":2:11", 'takes "debug", "info"'),
        ('{"servre": {}}', ":1:2", 'Did you mean "server"?'),
        ('{"log": {"level": "info",}}', ":1:", "json.org"),
        ('{"log": "info"', ":1:15", "json.org"),
        ("nonsense", ":1:1", "json.org"),
        ("[]", ":1:1", "An example"),
        ('{"limits": {\n "message_burst": 1,\n "message_burst": 2}}', ":3:2", "Keep one"),
        ('{"limits": {"message_per_second": NaN}}', ":1:35", "json.org"),
        ('{"limits": {"message_burst": -Infinity}}', ":1:30", "json.org"),
        ('{"limits": {"exempt": ["home"]}}', ":1:13", "10.0.0.0/8"),
        ('{"listen": {"a": {"tls": true}, "b": {"tls": 3}}}', ":1:39", ""),
        ('{"listen": {"a\\u0062": {"endpiont": "x"}}}', ":1:25", 'Did you mean "endpoint"?'),
        ('{"limits": {"message_burst": ' + "1" * 5_000 + "}}", "lairchat.json", "json.org"),
        ('{"a":' * 100_000, "lairchat.json", "Keep to tables"),
        ("[" * 100_000, "lairchat.json", "Keep to tables"),
    ],
)
def test_a_mistake_in_json_is_located_too(text: str, place: str, advice: str) -> None:
    said = refused_json(text)
    assert said.startswith("LC-CFG  ")
    assert place in said, said
    assert advice in said, said


def test_every_key_is_checked_in_json_too() -> None:
    for section, key, _ in config.every_key():
        tree: object = {key: {"wrong": 1}}
        for part in reversed(section.split(".")):
            tree = {part: tree}
        said = refused_json(msgspec.json.format(msgspec.json.encode(tree), indent=1).decode())
        assert f":{len(section.split('.')) + 2}:" in said, said


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("x = " + "[" * 100_000, "etc/lairchat.toml"),
        ("[limits]\nmessage_per_second = nan\n", "etc/lairchat.toml:2:1"),
        ("[limits]\nmessage_burst = " + "1" * 5_000, "a number that is too long"),
        ("[limits]\nmessage_per_second = inf\n", "etc/lairchat.toml:2:1"),
        ('[server]\nname = "x', "etc/lairchat.toml:2:"),
        ('[server]\nname = """x', "etc/lairchat.toml:2:"),
        ("[log]\n[log]\n", "etc/lairchat.toml:2:"),
        ('[ssh]\nendpoint = "tpc:22"\n', "etc/lairchat.toml:2:1"),
        ('[http]\nendpoint = "tcp:http"\n', "etc/lairchat.toml:2:1"),
        ('[tls]\nkey = "key.pem"\n', "etc/lairchat.toml:2:1"),
        ('[tls]\ncertificate = "credential:tls"\n', "etc/lairchat.toml:2:1"),
        ("limits = { message_burst = 0 }\n", "etc/lairchat.toml:1:1"),
    ],
)
def test_what_types_do_not_say_is_checked_too(text: str, place: str) -> None:
    assert place in refused(text)


def test_a_kind_of_endpoint_that_nobody_knows_is_corrected() -> None:
    assert 'Did you mean "tcp:"?' in refused('[listen.chat]\nendpoint = "tpc:7023"\n')
    assert "An example" in refused('[listen.chat]\nendpoint = "7023"\n')


# -- sources ---------------------------------------------------------------------------------------


def test_every_value_has_a_source(tmp_path: Path) -> None:
    secret = tmp_path / "registration"
    secret.write_text("open\n")
    text = '[limits]\nmessage_burst = 5\n\n[listen.tor]\nendpoint = "onion:7023"\ntls = false\n'
    environ = {
        "LAIRCHAT_LOG_LEVEL": "warn",
        "LAIRCHAT_ACCOUNTS_REGISTRATION_FILE": str(secret),
        "LAIRCHAT_LISTEN_TOR_ENDPOINT": "onion:7000",
    }
    loaded = config.parse_with_sources(text, "x.toml", environ)
    assert loaded.sources == {
        "limits.message_burst": "x.toml:2:1",
        "listen.tor.endpoint": "environment LAIRCHAT_LISTEN_TOR_ENDPOINT",
        "listen.tor.tls": "x.toml:6:1",
        "log.level": "environment LAIRCHAT_LOG_LEVEL",
        "accounts.registration": f"file {secret}",
    }
    assert loaded.config.accounts.registration == "open"
    assert loaded.config.listen["tor"].endpoint == "onion:7000"
    for path in config.values(loaded.config):
        assert config.variable_of(path).startswith("LAIRCHAT_")


def test_every_key_can_be_set_by_a_variable() -> None:
    other = {bool: "true", int: "7", float: "7", list: "10.0.0.0/8", str: "changed"}
    special = {
        "listen.chat.endpoint": "tcp:1",
        "listen.chat.tls": "false",
        "ssh.endpoint": "tcp:1",
        "http.endpoint": "tcp:1",
        "accounts.registration": "closed",
        "log.level": "error",
        "log.format": "json",
        "ssh.enabled": "false",
        "http.enabled": "false",
    }
    defaults = config.values(config.Config())
    for key in config.all_keys():
        text = special.get(key.path) or other[type(defaults[key.path])]
        environ = {config.variable_of(key.path): text}
        if key.path == "tls.key":
            environ["LAIRCHAT_TLS_CERTIFICATE"] = "chain.pem"
        loaded = config.parse_with_sources("", "x", environ)
        assert config.values(loaded.config)[key.path] != defaults[key.path], key.path
        assert loaded.sources[key.path] == f"environment {config.variable_of(key.path)}"


def test_a_value_file_that_cannot_be_read_or_that_has_a_rival_is_an_error(tmp_path: Path) -> None:
    said = refused("", {"LAIRCHAT_LOG_LEVEL_FILE": str(tmp_path / "none")})
    assert "LAIRCHAT_LOG_LEVEL_FILE" in said
    assert "no such file" in said
    both = {"LAIRCHAT_LOG_LEVEL_FILE": "/x", "LAIRCHAT_LOG_LEVEL": "warn"}
    assert "LAIRCHAT_LOG_LEVEL is set as well" in refused("", both)


def test_a_credential_of_systemd_is_a_file_of_that_name(tmp_path: Path) -> None:
    (tmp_path / "tls-key").write_text("a key")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    text = '[tls]\ncertificate = "/etc/chain.pem"\nkey = "credential:tls-key"\n'
    loaded = config.parse_with_sources(text, "x.toml", environ)
    assert loaded.config.tls.key == str(tmp_path / "tls-key")
    assert loaded.sources["tls.key"] == "x.toml:3:1, credential tls-key"
    for wrong in ("credential:none", "credential:../tls-key"):
        text = f'[tls]\ncertificate = "{wrong}"\n'
        assert "LoadCredential=" in refused(text, environ)


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    import os

    pipe = tmp_path / "pipe.toml"
    os.mkfifo(pipe)
    with pytest.raises(faults.Config, match="it is not a file"):
        config.load(pipe, {})
    large = tmp_path / "large.toml"
    large.write_bytes(b"#" * (1024 * 1024 + 1))
    with pytest.raises(faults.Config, match="larger than"):
        config.load(large, {})


# -- telling of the keys ---------------------------------------------------------------------------


def test_a_reload_takes_over_live_keys_only() -> None:
    running = config.Config()
    text = (
        '[limits]\nmessage_burst = 5\n[log]\nlevel = "warn"\nformat = "json"\n'
        '[listen.chat]\nendpoint = "tcp:1"\n[listen.tor]\nendpoint = "onion:1"\n'
    )
    fresh = config.parse(text, "x", {})
    after = config.merged(running, fresh)
    assert (after.limits.message_burst, after.log.level) == (5, "warn")
    assert (after.log.format, after.listen) == ("text", running.listen)
    different = config.differences(running, fresh)
    assert ("limits.message_burst", 10, 5) in different
    assert ("listen.tor.endpoint", None, "onion:1") in different
    assert {path for path, *_ in config.differences(after, fresh)} == {
        "log.format",
        "listen.chat.endpoint",
        "listen.tor.endpoint",
        "listen.tor.tls",
    }


def test_every_key_says_what_it_takes() -> None:
    takes = {key.path: key.takes for key in config.all_keys()}
    assert takes["accounts.registration"] == '"open", "invite", "closed"'
    assert takes["limits.message_burst"] == "a whole number from 1 to 1000000"
    assert takes["limits.message_per_second"] == "a number from 0 to 1000000"
    assert takes["storage.readers"] == "a whole number from 1 to 16"
    assert takes["limits.exempt"] == "a list of texts"
    assert takes["log.level"].startswith('"debug"')
    assert all(takes.values())
    assert config.key_of("listen.tor.tls") == config.key_of("listen.chat.tls")
    assert config.key_of("listen.tor.tsl") is None
    assert config.nearest("mesage_burst") == "limits.message_burst"
    assert config.nearest("registration") == "accounts.registration"
