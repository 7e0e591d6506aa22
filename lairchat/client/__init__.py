"""The curses client: a pure core (state, update, view), one screen, and the link to the server.

Everything imported before the first paint uses the standard library alone and none of its slow
modules (typing, re, enum, dataclasses): see ``values`` and ``boot``.
"""

__all__ = [
    "boot",
    "canvas",
    "commands",
    "editor",
    "effects",
    "hints",
    "inputs",
    "keys",
    "markup",
    "plain",
    "screen",
    "secret",
    "state",
    "update",
    "values",
    "view",
]
