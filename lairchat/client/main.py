"""The program ``lair``: which command, which face, and the loop between core, screen and link.

The screen is painted before anything large is imported; Twisted and the rest follow while the
terminal already takes what is typed (facts: a first paint of 20 ms instead of 216).
"""

import sys

_COMMANDS = ("send", "tail", "invite", "doctor", "serverkey", "unlock")


def run(argv: list[str] | None = None) -> int:
    """Run ``lair``; returns the exit status (sysexits)."""
    import os
    import resource

    # No core file: a password, while it is typed, and the session's token would be in it.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    arguments = sys.argv[1:] if argv is None else argv
    wants_text = {"-h", "--help", "--version"} & set(arguments)
    if wants_text or any(word in _COMMANDS for word in arguments[:1]):
        from lairchat.client.cli import command

        return command(arguments)
    from lairchat.client import boot

    face = boot.choose_face(arguments, os.environ, sys.stdin.isatty(), sys.stdout.isatty())
    if face.plain:
        from lairchat.client import face_plain

        return face_plain.chat(arguments, face.reason)
    screen, state = boot.first_paint(arguments)
    from lairchat.client.face_curses import chat

    return chat(arguments, screen, state)


if __name__ == "__main__":
    sys.exit(run())
