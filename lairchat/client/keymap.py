"""Which key does what: one table, from which the program acts and /help is written.

All of it can be rebound; every action also has its /command or its other key.
"""

from __future__ import annotations

from lairchat.client.values import Value

__all__ = [
    "ACTIONS",
    "BINDINGS",
    "GROUPS",
    "PREFIXED",
    "SELECTION",
    "Binding",
    "default_keymap",
    "key_label",
    "rebind",
    "short_key",
]


class Binding(Value):
    """An action, the keys that start it, and what /help says."""

    action: str
    keys: tuple[str, ...]
    help: str
    group: str


def _group(group: str, *rows: tuple[str, str, str]) -> tuple[Binding, ...]:
    return tuple(Binding(action, tuple(keys.split()), text, group) for action, keys, text in rows)


BINDINGS = (
    *_group(
        "writing",
        ("send", "enter", "send the message, or run the /command"),
        ("newline", "alt-enter ctrl-j shift-enter", "new line in the message"),
        ("complete", "tab", "complete @name, #room, /command and arguments; again: next choice"),
        ("complete-back", "shift-tab", "previous choice"),
        ("up", "up", "line above; on the first line: what was typed before"),
        ("down", "down", "line below; on the last line: what was typed after"),
    ),
    *_group(
        "editing",
        ("left", "left ctrl-b", "back one character"),
        ("right", "right ctrl-f", "on one character"),
        ("word-left", "alt-b ctrl-left", "back one word"),
        ("word-right", "alt-f ctrl-right", "on one word"),
        ("home", "ctrl-a home", "beginning of the line"),
        ("end", "ctrl-e end", "end of the line"),
        ("backspace", "backspace ctrl-h", "delete the character before the cursor"),
        ("delete", "delete ctrl-d", "delete the character under the cursor"),
        ("kill-blank-word", "ctrl-w", "cut back to the previous blank"),
        ("kill-word-left", "alt-backspace", "cut back to the beginning of the word"),
        ("kill-word-right", "alt-d", "cut to the end of the word"),
        ("kill-to-start", "ctrl-u", "cut back to the beginning of the line"),
        ("kill-to-end", "ctrl-k", "cut to the end of the line"),
        ("yank", "ctrl-y", "insert what was cut"),
        ("yank-older", "alt-y", "after that: what was cut before it"),
    ),
    *_group(
        "rooms",
        ("next-unread", "alt-a", "next room with something unread, mentions first"),
        ("switch", "ctrl-t alt-g", "go to a room, person or command by a part of its name"),
        ("next-room", "ctrl-n alt-right", "next room"),
        ("previous-room", "ctrl-p alt-left", "previous room"),
        ("list-rooms", "f2", "rooms of this server"),
        *((f"room-{n or 10}", f"alt-{n}", f"room {n or 10} of the list") for n in range(10)),
    ),
    *_group(
        "reading",
        ("page-up", "pgup", "scroll back; at the top older messages are loaded"),
        ("page-down", "pgdn", "scroll on"),
        ("top", "alt-home", "oldest loaded message"),
        ("bottom", "alt-end", "newest message"),
        ("unread-line", "alt-u", "where reading stopped"),
        ("select-older", "ctrl-up alt-k", "select a message, then the one before"),
        ("select-newer", "ctrl-down alt-j", "select the message after"),
    ),
    *_group(
        "screen",
        ("toggle-members", "alt-n", "members on and off"),
        ("toggle-rooms", "alt-r", "room list on and off"),
        ("help", "f1", "this help"),
        ("repaint", "ctrl-l", "paint the screen anew"),
        ("cancel", "ctrl-c", "cancel; on an empty line: quit? (a draft goes to the history)"),
        ("back", "esc", "close what is open"),
        ("suspend", "ctrl-z", "back to the shell; fg returns"),
        ("prefix", "ctrl-x", "prefix, for what tmux or screen keeps to itself"),
    ),
)

PREFIXED = {
    "?": "help",
    "t": "switch",
    "a": "home",
    "b": "left",
    "n": "next-room",
    "p": "previous-room",
    "u": "unread-line",
    "k": "select-older",
    "j": "select-newer",
    "l": "repaint",
    "m": "toggle-members",
    "r": "toggle-rooms",
}
"""Behind Ctrl-X."""

SELECTION = (
    ("x", "resend", "send a failed message again"),
    ("r", "reply", "answer the message; send a failed one again"),
    ("t", "thread", "speak in the message's thread; Enter alone shows it"),
    ("e", "edit", "edit your message; take a failed one back into the input"),
    ("d", "delete", "delete the message for everybody, after a question"),
    ("+", "react", "react to the message"),
    ("!", "report", "show the message to the operators, after a question"),
    ("c", "copy", "copy the text to the terminal's clipboard"),
    ("y", "quote", "quote it in the input"),
)
"""Single letters while a message is selected."""

GROUPS = ("writing", "editing", "rooms", "reading", "screen")
ACTIONS = {binding.action: binding for binding in BINDINGS}
MODIFIERS = (("ctrl-", "Ctrl-"), ("alt-", "Alt-"), ("shift-", "Shift-"))
KEPT = frozenset({"send", "back", "cancel"})
SPOKEN = {"pgup": "PgUp", "pgdn": "PgDn", "esc": "Esc"}


def default_keymap() -> dict[str, str]:
    """Return key name -> action as delivered."""
    return {key: binding.action for binding in BINDINGS for key in binding.keys}


def rebind(keymap: dict[str, str], key: str, action: str) -> bool:
    """Bind a key to an action, or free it with an empty one; False when there is no such action.

    The last key of ``send``, ``back`` and ``cancel`` stays: nobody shall be locked in.
    """
    if action and action not in ACTIONS:
        return False
    held = keymap.get(key, "")
    locked_in = held in KEPT and held != action and list(keymap.values()).count(held) == 1
    if locked_in:
        return False
    if action:
        keymap[key] = action
    else:
        keymap.pop(key, None)
    return True


def key_label(key: str) -> str:
    """Return a key's name as people write it: Ctrl-T, Alt-Enter, F1."""
    prefix = ""
    for name, spoken in MODIFIERS:
        if key.startswith(name) and len(key) > len(name):
            prefix += spoken
            key = key[len(name) :]
    if len(key) == 1 or (key[0] == "f" and key[1:].isdigit()):
        return prefix + key.upper()
    return prefix + SPOKEN.get(key, key.capitalize())


def short_key(keymap: dict[str, str], action: str) -> str:
    """Return the shortest way to write a key of this action: ^T, F1; empty when none is bound."""
    key = next((key for key in ACTIONS[action].keys if keymap.get(key) == action), "")
    if not key:
        key = next((bound for bound, does in keymap.items() if does == action), "")
    if key.startswith("ctrl-") and len(key) == 6:
        return "^" + key[5:].upper()
    return key_label(key) if key else ""
