"""SSH and lairctl answer alike, for every command that any feature declares for operators."""

import importlib
import json
import os
import pkgutil
import re
from typing import Any, NamedTuple

from lairchat import features, lairctl
from lairchat.client.commands import COMMANDS
from lairchat.features.rooms import messages as rooms
from lairchat.lairctl_face import Face
from lairchat.model import refusals
from lairchat.model.roles import ServerRole
from lairchat.operator.answer import shape_of
from lairchat.operator.cells import width
from lairchat.operator.line import parse
from lairchat.operator.verbs import Argument, Form, Verb, Verbs
from lairchat.operator.words import quoted
from lairchat.wire.contract import Table
from lairchat.wire.shown import Kind
from tests.blackbox.daemon import awaited
from tests.blackbox.operators import OperatorTest
from tests.requirements import require

#: What is asked of each command: a word for its targets, by verb and field, then by field.
WORDS = {
    "backup create.name": "weekly",
    "backup restore.name": "nightly",
    "backup verify.name": "nightly",
    "ban add.kind": "ip",
    "ban add.target": "192.0.2.1",
    "ban remove.kind": "ip",
    "ban remove.target": "192.0.2.7",
    "config explain.key": "limits.message_burst",
    "config show.key": "limits",
    "invite revoke.invite": "1",
    "log level.level": "info",
    "number": "1",
    "room": "attic",
    "server broadcast.text": "soon back",
    "server maintenance.mode": "on",
    "session close.session": "1",
    "user create.name": "carol",
    "user key remove.key": "1",
    "user key remove.name": "alice",
    "user role.role": "moderator",
    "user unlock.name": "bob",
    "name": "bob",
}
#: Commands whose answer is another one a moment later: of these only the form is compared.
MOVING = {
    "backup create", "backup list", "db check", "db status", "log tail", "server status",
    "session list", "stats show", "stats top", "user create", "user reset-password",
    "user list", "user show",
}  # fmt: skip


#: Commands that a server in use refuses, or for want of a report, with the status.
REFUSED = {"backup restore": 1, "report resolve": 3, "report show": 3}


class Said(NamedTuple):
    """What a door answered."""

    status: int
    out: str
    err: str


class Caught(Face):
    """lairctl's face, with what it would have shown."""

    def __init__(self) -> None:
        super().__init__()
        self._asks = self._screen = False
        self.out = self.err = ""

    def write(self, text: str) -> None:
        self.out += text

    def error(self, text: str) -> None:
        self.err += text


def operators_verbs() -> list[Verb]:
    """Return every command that a feature declares for operators."""
    found: list[Any] = []
    for feature in pkgutil.iter_modules(features.__path__):
        declared = importlib.import_module(f"lairchat.features.{feature.name}.messages")
        found += getattr(declared, "COMMANDS", ())
    return list(Verbs(Table(found)))


VERBS = operators_verbs()


class Alike(OperatorTest):
    timeout = 280

    def over_ssh(self, *words: str) -> Said:
        done = self.ssh(
            *map(quoted, words),
            options=(
                "-o", "ControlMaster=auto", "-o", f"ControlPath={self.directory}/master",
                "-o", "ControlPersist=5",
            ),
        )  # fmt: skip
        return Said(done.returncode, done.stdout, done.stderr)

    def here(self, *words: str) -> Said:
        face = Caught()
        status = lairctl.main(["--data", str(self.server.data), *words], os.environ, face)
        return Said(status, face.out, face.err)

    def alike(self, *words: str) -> Said:
        """Give a command through both doors, and return what both answered."""
        ssh, local = self.over_ssh(*words), self.here(*words)
        assert ssh == local, (words, ssh, local)
        return ssh

    async def populated(self) -> None:
        require("ssh")
        self.alice, self.bob = await self.friends("alice", "bob")
        self.key = self.new_key("alice")
        self.add_key("alice", self.key)
        self.spare = self.new_key("bob")
        assert self.here("ban", "add", "ip", "192.0.2.7", "--yes").status == 0
        assert self.here("backup", "create", "nightly", "--yes").status == 0
        assert self.here("invite", "create").status == 0
        (link,) = json.loads(self.here("invite", "list", "--json").out)
        WORDS["invite revoke.invite"] = str(link["invite"])
        await self.alice.ask(rooms.CREATE, rooms.CreateRoom("attic"), self.alice.key())

    # -- targets

    def word(self, verb: Verb, argument: Argument) -> str:
        return WORDS.get(f"{verb.name}.{argument.field}") or WORDS[argument.field]

    def words(self, verb: Verb, *, local: bool) -> list[str]:
        """Return a command line that the server understands and that changes nothing."""
        found = [*verb.words]
        for one in verb.targets:
            if one.kind is Kind.FILE:
                found.append(f"{self.spare}.pub" if local else self.key_text())
            else:
                found.append(self.word(verb, one))
        return [*found, *(["--dry-run"] if verb.changes else ["--yes"] * verb.command.asks)]

    def key_text(self) -> str:
        return self.spare.with_suffix(".pub").read_text("ascii").strip()

    # -- the tests

    @awaited
    async def test_every_command_is_there_and_explained_alike(self) -> None:
        await self.populated()
        nouns = {verb.words[0] for verb in VERBS}
        shown = self.alike("help").out
        assert nouns <= set(shown.split())
        assert len(shown.splitlines()) <= 24
        for noun in sorted(nouns):
            assert self.alike("help", noun).status == 0
        for verb in VERBS:
            page = self.alike("help", *verb.words)
            assert (page.status, page.err) == (0, "")
            assert page.out.startswith(verb.name)
            for line in page.out.splitlines():
                assert width(line) <= 80, line

    @awaited
    async def test_every_command_refuses_alike(self) -> None:
        await self.populated()
        for verb in VERBS:
            said = self.alike(*verb.words, "--zebra")
            assert (said.status, said.out) == (2, "")
            assert "LC-CLI-USAGE" in said.err
            if any(one.required for one in verb.targets):
                assert "is missing" in self.alike(*verb.words).err
            if verb.command.asks:
                said = self.alike(*self.words(verb, local=False)[:-1])
                assert "LC-CLI-ASKS" in said.err

    @awaited
    async def test_every_command_answers_alike(self) -> None:
        await self.populated()
        for verb in VERBS:
            ssh = self.over_ssh(*self.words(verb, local=False), "--json")
            local = self.here(*self.words(verb, local=True), "--json")
            assert (ssh.status, ssh.err) == (local.status, local.err), (verb.name, ssh, local)
            assert ssh.status == REFUSED.get(verb.name, 0), (verb.name, ssh)
            if verb.name in MOVING:
                assert form_of(ssh.out) == form_of(local.out), verb.name
            else:
                assert ssh.out == local.out, verb.name
            if ssh.status == 0 and ssh.out and not shape_of(verb.command.reply).outcome:
                text = self.here(*self.words(verb, local=True))
                assert all(width(line) <= 100 for line in text.out.splitlines()), text.out


def form_of(text: str) -> Any:
    """Return the fields of a JSON answer without their values."""

    def form(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: form(one) for name, one in value.items() if not isinstance(one, list)}
        return [form(one) for one in value[:1]] if isinstance(value, list) else None

    return form(json.loads(text)) if text else None


def test_every_verb_has_words_to_be_tried_with():
    case = Alike("test_every_command_answers_alike")
    for verb in VERBS:
        given = [one for one in verb.targets if one.kind is not Kind.FILE]
        line = [*verb.words, *(case.word(verb, one) for one in given)]
        line += ["a key"] * (len(verb.targets) - len(given))
        assert parse(Verbs(Table([verb.command])), line, ServerRole.OWNER).verb.name == verb.name


def test_operators_changes_can_be_rehearsed_and_no_read_asks():
    for verb in VERBS:
        assert verb.changes or not verb.command.asks, verb.name
        assert verb.command.doc.endswith("."), verb.name
        assert verb.command.role >= ServerRole.MODERATOR or verb.words[0] == "invite", verb.name
        for one in verb.flags:
            assert one.form is not Form.TEXT or one.value_word, verb.name
        for one in (*verb.targets, *verb.flags):
            assert one.doc.endswith("."), (verb.name, one.word)


def test_what_the_issue_names_is_there():
    named = """
        server status maintenance broadcast shutdown; user list show create lock unlock role
        key-add key-list key-remove; room list show members archive delete; session list close;
        invite list create revoke; ban list add remove; stats show top;
        config check show explain diff reload; cert show renew;
        report list show resolve;
        backup create list verify restore; db status check vacuum; log tail level
    """
    there = {(verb.words[0], "-".join(verb.words[1:])) for verb in VERBS}
    for noun in named.split(";"):
        first, *verbs = noun.split()
        for one in verbs:
            assert (first, one) in there, (first, one)


#: What every command may answer, at whichever door: nobody declares it.
ANYWHERE = (
    refusals.Busy, refusals.Internal, refusals.RateLimited, refusals.ShuttingDown,
    refusals.StoreBroken, refusals.StoreBusy, refusals.StoreFull, refusals.StoreReadOnly,
)  # fmt: skip


def test_no_refusal_advises_an_operator_to_type_what_only_the_chat_client_knows():
    slashed = {word for one in COMMANDS for word in (one.name, *one.aliases)}
    for verb in VERBS:
        for kind in (*verb.command.errors, *ANYWHERE):
            typed = re.findall(r"(?<!\S)/(\w+)", kind.text)
            assert not slashed & {*typed}, (verb.name, kind.code, kind.text)
