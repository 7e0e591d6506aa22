"""The slash commands: one table, from which they run, complete, and are explained by /help.

A command that is not in here does not exist yet.
"""

from __future__ import annotations

from lairchat.client import verbs_client as client
from lairchat.client import verbs_messages as messages
from lairchat.client import verbs_report as report
from lairchat.client import verbs_rooms as rooms
from lairchat.client import verbs_sealed as sealed
from lairchat.client import verbs_threads as threads
from lairchat.client import verbs_trust as trust
from lairchat.client.call import Call, Command
from lairchat.client.kit import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.effects import Effect
    from lairchat.client.state import AppState

__all__ = ["COMMANDS", "GROUPS", "lookup", "nearest", "run", "split"]

GROUPS = ("start", "talk", "trust", "moderate", "client")

COMMANDS = (
    Command(
        "help",
        "/help [COMMAND]",
        "all keys and commands, or one command",
        "/help join",
        "start",
        client.show_help,
        ("command",),
    ),
    Command(
        "join",
        "/join #ROOM|CODE",
        "go to a room, joining it first if you are not in it; with a code into an encrypted one",
        "/join #ops",
        "start",
        rooms.join,
        ("room",),
    ),
    Command(
        "leave",
        "/leave [#ROOM]",
        "leave this room or another one",
        "/leave #ops",
        "start",
        rooms.leave,
        ("room",),
    ),
    Command(
        "msg",
        "/msg NAME [TEXT]",
        "talk to one person alone",
        "/msg alice are you there?",
        "start",
        rooms.message,
        ("person",),
    ),
    Command(
        "new",
        "/new #ROOM [public|private]",
        "make a room: public, which the server reads, or private, which is encrypted",
        "/new #attic private",
        "start",
        rooms.create,
        ("none", "access"),
        ("create",),
    ),
    Command(
        "rooms",
        "/rooms",
        "rooms of this server that you can join",
        "/rooms",
        "start",
        rooms.rooms,
        (),
        ("list",),
    ),
    Command(
        "invite",
        "/invite [NAME]",
        "invite a person into this room; without a name: a link to register here",
        "/invite carol",
        "start",
        rooms.invite,
        ("person",),
    ),
    Command(
        "invites",
        "/invites [NAME [on|off]]",
        "hide somebody's invitations, or show them again",
        "/invites mallory off",
        "start",
        rooms.invites,
        ("person",),
    ),
    Command(
        "whois",
        "/whois NAME",
        "what is known of a person",
        "/whois bob",
        "start",
        client.whois,
        ("person",),
    ),
    Command(
        "status",
        "/status",
        "connection, server identity, account, queue",
        "/status",
        "start",
        client.status,
    ),
    Command(
        "reconnect",
        "/reconnect",
        "connect now instead of waiting",
        "/reconnect",
        "start",
        client.reconnect,
    ),
    Command(
        "password",
        "/password",
        "change your password, in a form",
        "/password",
        "start",
        client.password,
    ),
    Command(
        "logout",
        "/logout [all]",
        "end the session of this device, or of all devices",
        "/logout",
        "start",
        client.logout,
        ("all",),
    ),
    Command(
        "quit",
        "/quit",
        "end the program; what is queued leaves the next time",
        "/quit",
        "start",
        client.leave_program,
    ),
    Command("me", "/me TEXT", "say what you do", "/me waves", "talk", rooms.me, ("member",)),
    Command(
        "topic",
        "/topic [TEXT]",
        "show or change the room's topic",
        "/topic the attic, keep calm",
        "talk",
        rooms.topic,
    ),
    Command(
        "members",
        "/members",
        "members on and off (Alt-N)",
        "/members",
        "talk",
        rooms.members,
    ),
    Command("names", "/names", "members of this room as text", "/names", "talk", rooms.names),
    Command(
        "history",
        "/history [N]",
        "load up to 100 older messages",
        "/history 50",
        "talk",
        rooms.history,
    ),
    Command(
        "goto",
        "/goto #N|DATE|unread|top|bottom",
        "go to a message by number, to a day, or to where reading stopped",
        "/goto 2026-11-22",
        "talk",
        rooms.goto,
        ("place",),
    ),
    Command(
        "search",
        "/search WORDS [#ROOM]",
        "look for words in what this device has read; the server never sees them",
        "/search backup job #ops",
        "talk",
        sealed.search,
    ),
    Command(
        "reply",
        "/reply #N TEXT",
        "answer a message (Ctrl-Up selects it, r answers it)",
        "/reply #120 yes, at six",
        "talk",
        messages.reply,
    ),
    Command(
        "thread",
        "/thread #N [TEXT]",
        "speak in the thread of a message, or without a text show it (Ctrl-Up, t)",
        "/thread #120 the backup is done",
        "talk",
        threads.thread,
    ),
    Command(
        "poll",
        "/poll [many] QUESTION | ANSWER | ANSWER ...",
        "ask everybody; many: several answers can be picked",
        "/poll When do we meet? | at five | at six",
        "talk",
        messages.poll,
    ),
    Command(
        "vote",
        "/vote N ... [#N]",
        "pick answers of a poll, the last one without a number; 0 takes them back",
        "/vote 2",
        "talk",
        messages.vote,
    ),
    Command(
        "edit",
        "/edit #N TEXT",
        "give a message of yours another text (Ctrl-Up selects it, e edits it)",
        "/edit #120 at five, not at six",
        "talk",
        messages.edit,
    ),
    Command(
        "delete",
        "/delete #N",
        "delete a message for everybody, after a question (Ctrl-Up, d)",
        "/delete #120",
        "talk",
        messages.delete,
    ),
    Command(
        "react",
        "/react EMOJI [#N]",
        "react to a message, the last one without a number; again takes it back (+:tada:)",
        "/react +1 #120",
        "talk",
        messages.react,
        ("reaction",),
    ),
    Command(
        "timer",
        "/timer TIME|off",
        "what you say here goes so long after it was read: 30m, 1h, 7d",
        "/timer 1h",
        "talk",
        messages.timer,
    ),
    Command("clear", "/clear", "empty the pane; nothing is deleted", "/clear", "talk", rooms.clear),
    Command(
        "verify",
        "/verify NAME",
        "compare seven words with somebody, while you talk or meet",
        "/verify bob",
        "trust",
        trust.verify,
        ("person",),
    ),
    Command(
        "fingerprint",
        "/fingerprint NAME",
        "somebody's safety number and QR code",
        "/fingerprint bob",
        "trust",
        trust.fingerprint,
        ("person",),
        ("identity",),
    ),
    Command(
        "trust",
        "/trust [NAME]",
        "accept a changed identity; without a name, who came into the room unseen",
        "/trust bob",
        "trust",
        trust.accept,
        ("person",),
    ),
    Command(
        "invitations",
        "/invitations",
        "who invites you into encrypted rooms",
        "/invitations",
        "trust",
        sealed.invitations,
    ),
    Command(
        "accept",
        "/accept [NAME]",
        "go into the encrypted room that somebody invites you into",
        "/accept alice",
        "trust",
        sealed.accept,
        ("inviter",),
    ),
    Command(
        "decline",
        "/decline [NAME]",
        "turn an invitation into an encrypted room down",
        "/decline mallory",
        "trust",
        sealed.decline,
        ("inviter",),
    ),
    Command(
        "code",
        "/code [USES|off]",
        "a code that lets people into this encrypted room; off ends all of them",
        "/code 3",
        "trust",
        sealed.code,
        ("off",),
    ),
    Command(
        "devices",
        "/devices",
        "the devices of your account",
        "/devices",
        "trust",
        trust.devices,
    ),
    Command(
        "revoke",
        "/revoke DEVICE [lost]",
        "end a device of yours; lost: it was stolen or lost",
        "/revoke old laptop lost",
        "trust",
        trust.revoke,
    ),
    Command(
        "link",
        "/link",
        "make this new device one of yours, so that it reads encrypted rooms",
        "/link",
        "trust",
        trust.link,
    ),
    Command(
        "recover",
        "/recover",
        "bring back what is in your encrypted backup, with your recovery words, in a form",
        "/recover",
        "trust",
        trust.recover,
    ),
    Command(
        "backup",
        "/backup on|off",
        "keep an encrypted backup for your other devices, or delete it and keep none",
        "/backup off",
        "trust",
        trust.backup,
        ("onoff",),
    ),
    Command(
        "unlock",
        "/unlock",
        "type the password that opens encrypted rooms on this device, in a form",
        "/unlock",
        "trust",
        trust.unlock,
    ),
    Command(
        "succeed",
        "/succeed",
        "open an encrypted room with the people of this one, from before encryption",
        "/succeed",
        "trust",
        sealed.succeed,
    ),
    Command(
        "roomcode",
        "/roomcode",
        "digits that all devices in this room have in common, to read to each other",
        "/roomcode",
        "trust",
        sealed.room_code,
    ),
    Command(
        "refound",
        "/refound",
        "found a room or conversation anew that is held for good, with the same people",
        "/refound",
        "trust",
        sealed.refound,
    ),
    Command(
        "report",
        "/report [#N] REASON",
        "show one message to the operators, with proof; in a held room: the change that was refused",
        "/report #120 threatens me",
        "moderate",
        report.report,
    ),
    Command(
        "kick",
        "/kick NAME [REASON]",
        "put somebody out of this room; they may come back",
        "/kick eve please read the topic",
        "moderate",
        rooms.kick,
        ("member",),
    ),
    Command(
        "ban",
        "/ban NAME [REASON]",
        "put somebody out of this room for good",
        "/ban eve spam",
        "moderate",
        rooms.ban,
        ("member",),
    ),
    Command(
        "unban",
        "/unban NAME",
        "let a banned person come back",
        "/unban eve",
        "moderate",
        rooms.unban,
        ("person",),
    ),
    Command(
        "role",
        "/role NAME ROLE",
        "change somebody's role here: guest, member, moderator, admin, owner",
        "/role bob moderator",
        "moderate",
        rooms.role,
        ("member", "role"),
    ),
    Command(
        "set",
        "/set [NAME [VALUE]]",
        "show or change settings",
        "/set bell off",
        "client",
        client.set_setting,
        ("setting", "value"),
    ),
    Command(
        "layout",
        "/layout members|rooms [on|off]",
        "a pane on or off",
        "/layout members off",
        "client",
        client.layout,
        ("pane", "onoff"),
    ),
    Command(
        "plain",
        "/plain",
        "how to run without a screen, for screen readers and pipes",
        "/plain",
        "client",
        client.plain,
    ),
    Command("version", "/version", "versions", "/version", "client", client.version),
    Command(
        "debug",
        "/debug",
        "figures for a bug report: sizes and states, no texts",
        "/debug",
        "client",
        client.debug,
    ),
)

_BY_NAME = {word: one for one in COMMANDS for word in (one.name, *one.aliases)}


def split(text: str) -> tuple[str, str]:
    """Split a command line into the command's word and the rest."""
    word, blank, rest = text[1:].partition(" ")
    if "\n" in word:
        word, _, more = word.partition("\n")
        rest = more + blank + rest
    return word.lower(), rest


def lookup(word: str) -> Command | None:
    """Return the command of this name or other name."""
    return _BY_NAME.get(word)


def nearest(word: str) -> str:
    """Return the most similar command's name, empty when nothing comes close."""
    starts = [name for name in _BY_NAME if name.startswith(word)] if word else []
    if starts:
        return min(starts, key=len)
    best = min(_BY_NAME, key=lambda name: (distance(word, name), name))
    return best if distance(word, best) <= max(1, len(best) // 2) else ""


def distance(one: str, two: str) -> int:
    """Return how many letters differ, a swap of neighbours counting once (optimal alignment)."""
    before: list[int] = []
    row = list(range(len(two) + 1))
    for i, a in enumerate(one[:32], 1):
        older, before, row = before, row, [i]
        for j, b in enumerate(two, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == two[j - 2] and one[i - 2] == b:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
    return row[-1]


def run(state: AppState, text: str) -> list[Effect]:
    """Run a command line; raises CommandError with what to do instead."""
    word, rest = split(text)
    command = lookup(word)
    if command is None:
        close = nearest(word)
        hint = f"Did you mean /{close}?" if close else "/help lists all."
        raise CommandError(f"there is no /{word[:20]}. {hint} (//{word[:20]} sends it as text)")
    return command.run(state, Call(command, rest, text))
