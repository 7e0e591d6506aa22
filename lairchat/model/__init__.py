"""Values and rules that need nothing but the standard library: the ground the rest stands on.

Nothing in here does I/O, reads a clock or draws randomness; whoever calls hands these in.
``text``, ``limits`` and ``identity`` are imported before the client's first paint and stay light.
"""

__all__ = [
    "events",
    "faults",
    "identity",
    "ids",
    "limits",
    "names",
    "permissions",
    "refusal",
    "refusals",
    "roles",
    "text",
]
