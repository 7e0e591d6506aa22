"""What ``/set`` changes: one table, from which completion, help and the saved file are made."""

from __future__ import annotations

from lairchat.client.keymap import rebind
from lairchat.client.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.state import AppState

__all__ = ["SETTINGS", "Setting", "change", "describe", "load"]

ON_OFF = ("on", "off")


class Setting(Value):
    """A setting: its name, the values it takes, and what they do."""

    name: str
    help: str
    values: tuple[str, ...] = ON_OFF


SETTINGS = (
    Setting("bell", "ring when somebody mentions you or writes to you"),
    Setting("colour", "use colours if the terminal has them"),
    Setting("members", "show the members where there is room (Alt-N)"),
    Setting("rooms", "show the room list where there is room (Alt-R)"),
    Setting("title", "show unread counts in the window's title"),
    Setting("typing", "tell the others in encrypted rooms that you type"),
)


def change(state: AppState, name: str, value: str) -> str:
    """Set one; returns why not, empty when done."""
    setting = next((one for one in SETTINGS if one.name == name), None)
    if setting is None:
        return f"there is no setting {name}. Try: /set"
    if value not in setting.values:
        return f"{name} takes {' or '.join(setting.values)}"
    setattr(state.settings, name, value == "on")
    return ""


def load(state: AppState, name: str, value: str) -> None:
    """Take a saved setting, or a key as ``keys.ctrl-t``; what is not known any more is ignored."""
    if name.startswith("keys."):
        rebind(state.keymap, name[5:], value)
    else:
        change(state, name, value)


def describe(state: AppState) -> list[str]:
    """Return one line for each setting."""
    return [
        f"{one.name:<8} {'on' if getattr(state.settings, one.name) else 'off':<4} {one.help}"
        for one in SETTINGS
    ]
