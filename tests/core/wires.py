"""A wire that remembers what its peer did with it, and a hub that flushes when told."""

from lairchat.core.hub import Hub
from lairchat.core.peer import Peer


class Wire:
    """What a transport would be; ``full`` makes it block after each write."""

    def __init__(self):
        self.written = []
        self.done = []
        self.peer = None
        self.full = False

    def write(self, data):
        self.written.append(data)
        if self.full:
            self.peer.block(0.0)

    def pause_reading(self):
        self.done.append("pause")

    def resume_reading(self):
        self.done.append("resume")

    def close(self, code, text):
        self.done.append(("close", code, text))

    def abort(self):
        self.done.append("abort")

    def authenticated(self):
        self.done.append("authenticated")


class House:
    """A hub whose turns end when the test says so, and its connections."""

    def __init__(self):
        self.turns = []
        self.hub = Hub(self.turns.append, lambda rooms: b"gap%s;" % repr(sorted(rooms)).encode())

    def connect(self):
        wire = Wire()
        wire.peer = Peer(self.hub, wire, "192.0.2.1", 0.0)
        return wire.peer

    def turn(self):
        """End the reactor's turn; return what was written to each of these peers before."""
        while self.turns:
            self.turns.pop(0)()
