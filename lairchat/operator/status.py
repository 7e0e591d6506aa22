"""How a command ends, in one number: the exit status of SSH and of lairctl."""

from typing import Final

__all__ = ["Status", "status_of"]


class Status:
    """How a command ended, as exit status of SSH and lairctl."""

    OK: Final = 0
    FAILED: Final = 1
    USAGE: Final = 2
    NOT_FOUND: Final = 3
    DENIED: Final = 4


_STATUS = {
    "LC-ARGS": Status.USAGE,
    "LC-CLI-ROWS": Status.FAILED,
    "LC-COMMAND-UNKNOWN": Status.USAGE,
    "LC-CTL-DENIED": Status.DENIED,
    "LC-CTL-TEXT": Status.USAGE,
    "LC-DENIED": Status.DENIED,
    "LC-AUTH-LOCKED": Status.DENIED,
    "LC-INVITE-BAD": Status.NOT_FOUND,
    "LC-OWN-ACCOUNT": Status.DENIED,
}


def status_of(code: str) -> int:
    """Return the exit status for a refusal's code."""
    if code in _STATUS:
        return _STATUS[code]
    if code.startswith("LC-CLI-"):
        return Status.USAGE
    return Status.NOT_FOUND if code.endswith("-UNKNOWN") else Status.FAILED
