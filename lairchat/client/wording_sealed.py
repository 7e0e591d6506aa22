"""What the pages about devices, identities and encrypted rooms say."""

from __future__ import annotations

from lairchat.client.kit import safe
from lairchat.client.markup import pad

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from lairchat.client.inputs import Message
    from lairchat.client.inputs_sealed import Device

__all__ = [
    "code_lines",
    "device_lines",
    "differ_lines",
    "found_lines",
    "identity_lines",
    "invite_lines",
    "recovery_lines",
    "waiting_lines",
]

SURENESS = {
    "first sight": "seen by this device, not compared: E2E",
    "link": "known by an invite link, which carried the identity: E2E+",
    "compared": "compared: E2E+",
}


def recovery_lines(words: Sequence[str]) -> list[str]:
    """Return the words numbered in two columns, and what there is to know of them."""
    rows = (len(words) + 1) // 2
    cells = [f"{n:2} {word}" for n, word in enumerate(words, 1)]
    right = [*cells[rows:], ""]
    lines = [f"{pad(cells[n], 16)}{right[n]}".rstrip() for n in range(rows)]
    return [
        *lines,
        "Write them on paper, now: they are shown once, and nobody can bring them back.",
        "",
        "They make a new device one of yours when no other is left.",
        "Whoever has them is you: keep them where you keep your passport, and in no file.",
        "The server never gets them, and neither does its operator.",
    ]


def device_lines(devices: Sequence[tuple[Device, str]]) -> list[str]:
    """Return the account's devices, one a line, with the day each was added."""
    lines = [
        f"{pad(one.name, 24, '~')} {pad(since or '(not known)', 11)} {one.id[:12]} "
        + ", ".join(
            word
            for word, so in (("revoked", one.revoked), ("here", one.here), ("primary", one.primary))
            if so
        )
        for one, since in devices
    ]
    return [
        *[line.rstrip() for line in lines],
        "",
        "here: the one you sit at.  primary: it can take in others.",
        "/revoke NAME ends one; /revoke NAME lost, if it was stolen or lost.",
    ]


def waiting_lines(name: str, *, link: bool) -> list[str]:
    """Return what to do while the other side has not answered."""
    if link:
        return [
            "Waiting for another device of yours ...",
            "",
            "It asks whether this new device is in your hands: answer y there.",
        ]
    return [
        f"Waiting for {name} ...",
        "",
        f"{name} is asked whether to compare now.",
        "Talk or meet: the code that comes next is read aloud, not written in a chat.",
    ]


def code_lines(name: str, words: Sequence[str], numbers: Sequence[str], *, link: bool) -> list[str]:
    """Return the codes to compare, and how."""
    first = (
        "Look at your other device: it has to show the same."
        if link
        else f"Ask {name} to read this aloud (call, meet). Do NOT send it in a chat."
    )
    covers = (
        "They are the same on both devices only if nobody stands between them."
        if link
        else f"One check covers all devices of {name}, now and later."
    )
    return [
        first,
        "",
        "    " + "  ".join(f"{n} {word}" for n, word in enumerate(words, 1)),
        "    numbers  " + "  ".join(numbers),
        "",
        covers,
        "",
        "y  they are the same",
        "n  they differ",
    ]


def differ_lines(name: str, *, link: bool) -> list[str]:
    """Return what it means that the codes differ, and what to do."""
    who = name or "the other side"
    first = (
        "Somebody may stand between your devices, and would read what you read."
        if link
        else f"Somebody may stand between you and {who}, and read what you write to each other."
    )
    return [
        first,
        "Nothing was marked as verified, and nothing was linked.",
        "",
        "A word may have been misheard: compare once more, slowly.",
        "If the codes differ again, write nothing secret on this server, and meet in person.",
    ]


def identity_lines(
    name: str, sureness: str, was: Sequence[str], now: Sequence[str], devices: Sequence[str]
) -> list[str]:
    """Return what is known of a person: how surely, the safety number, the devices."""
    lines = [f"{name}: {SURENESS.get(sureness, safe(sureness))}"]
    if now:
        lines += [
            f"The server shows ANOTHER identity for {name} now.",
            "Usual reason: reinstalled without recovery words. Other reason: somebody else.",
            "",
            "Safety number before:",
            *_number(was),
            "Safety number now, to be compared:",
            *_number(now),
            "",
            "y  the number of now is the same on both screens",
            f"a  take {name} for a new person, unverified",
        ]
    else:
        lines += [
            "",
            "Safety number, the same on both screens:",
            *_number(was),
            "",
            f"y  it is the same: {name} read it to you, or you saw both screens",
        ]
    lines += [f"/verify {name} compares seven words instead, while you talk."]
    return lines + ([f"devices: {', '.join(devices)}"] if devices else [])


def _number(groups: Sequence[str]) -> list[str]:
    return ["    " + " ".join(groups[n : n + 4]) for n in range(0, len(groups), 4)]


def invite_lines(invites: Sequence[tuple[str, str]]) -> list[str]:
    """Return who invites us, one a line; the rooms' names are known inside only."""
    if not invites:
        return ["nobody invites you into an encrypted room"]
    rows = [f"{pad(name, 22)} {day}".rstrip() for name, day in invites]
    return [*rows, "", "/accept NAME goes in, /decline NAME turns it down."]


def found_lines(found: Sequence[tuple[str, str, Message]]) -> list[str]:
    """Return what was found, a message a line: where, when, who, what."""
    if not found:
        return ["nothing on this device has these words"]
    rows = [
        f"{when:<16}  {room} #{message.seq}  {safe(message.sender)}  {safe(message.text)}"
        for room, when, message in found
    ]
    return [
        *rows,
        "",
        "/goto #N in its room goes to a message; /report 7#N shows operators one of (left) 7.",
    ]
