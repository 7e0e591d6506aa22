"""A program to be killed: sends to a database as fast as it can, and says what was acknowledged.

Run as ``python crashing.py FILE ROUND [COUNT]``; test_crash.py kills it, or has its disk fail.
A line of its output is the room, the number and the id of an event whose transaction was committed
when the line was written, or the code of a refusal. It ends after COUNT acknowledgements, or when
the writer gives up.
"""

import os
import sys
from typing import Any

from twisted.internet import reactor

from lairchat.model.refusals import StoreBroken
from lairchat.storage import log
from lairchat.storage.database import Database
from lairchat.storage.unavailable import StorageUnavailable
from lairchat.storage.writer import Unit

ROOMS = 8
UNDER_WAY = 64


class Send(Unit):
    """One message; when it is acknowledged, says so and sends the next."""

    __slots__ = ("entry", "program", "seq")

    def __init__(self, program: "Program", entry: log.Entry) -> None:
        self.program = program
        self.entry = entry

    def run(self, connection: Any) -> None:
        (self.seq,) = log.append(connection, [self.entry])
        key = (self.entry.device, self.entry.id, self.entry.room, self.seq, self.entry.at, None)
        log.store_answers(connection, [key])

    def finish(self, error: BaseException | None) -> None:
        if isinstance(error, StorageUnavailable):
            os.write(1, b"%s\n" % error.code.encode())
            if isinstance(error, StoreBroken):
                return
        elif error is not None:
            raise error
        else:
            place = (self.entry.room, self.seq, int.from_bytes(self.entry.id))
            os.write(1, b"%d %d %d\n" % place)
            self.program.left -= 1
        self.program.send()


class Program:
    """Sends until it is killed, has sent enough, or must not write any more."""

    def __init__(self, path: str, number: int, count: int) -> None:
        self.number = number * 10**9
        self.left = count
        self.database = Database.open(f"sqlite:///{path}", reactor=reactor)
        self.database.writer.on_fatal = self.give_up
        # Small bounds, so that checkpoints are killed too.
        self.database.checkpoints._pages = 50

    def start(self) -> None:
        def rooms(connection: Any) -> None:
            found = log.heads(connection, range(1, ROOMS + 1))
            for room in range(1, ROOMS + 1):
                if room not in found:
                    log.create_head(connection, room)

        self.database.call(rooms).addCallback(lambda _: [self.send() for _ in range(UNDER_WAY)])

    def give_up(self, fault: StorageUnavailable) -> None:
        os.write(1, b"gave up\n")
        reactor.callLater(0.1, reactor.stop)  # whatever is still acknowledged would be said

    def send(self) -> None:
        if self.left <= 0:
            if reactor.running and not self.database.writer.depth:
                self.database.close().addBoth(lambda _: reactor.stop())
            return
        self.number += 1
        identifier = self.number.to_bytes(16)
        room = self.number % ROOMS + 1
        body = b"%d " % self.number * 20
        self.database.writer.submit(Send(self, log.Entry(room, 1, 1, 1, identifier, body, 0)))


if __name__ == "__main__":
    program = Program(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if sys.argv[3:] else 10**9)
    reactor.callWhenRunning(program.start)
    reactor.run()
