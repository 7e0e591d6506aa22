"""Where commands are given from inside the process: by the doors for operators.

A desk stands for one caller.  What is given there takes the same way through the kernel as a frame
from the network: stage, role, rate, transaction, refusal; nothing is decided here.
"""

import itertools
from collections.abc import Mapping
from typing import Any

import msgspec
from twisted.internet.defer import Deferred

from lairchat.core.kernel import Kernel
from lairchat.core.peer import Peer
from lairchat.core.session import Session
from lairchat.model.refusal import received
from lairchat.wire import codec
from lairchat.wire.contract import Command
from lairchat.wire.errors import ProtocolError
from lairchat.wire.objects import CommandFrame, Error, Ok

_HEADER_BYTES = 4


class Desk:
    """One operator's way to the kernel.

    session: who gives the commands; it is not in the hub, so that others do not see it as a device.
    address: where they come from, for what handlers tell the log.
    """

    def __init__(self, kernel: Kernel, session: Session, address: str) -> None:
        self._kernel = kernel
        self.session = session
        self._peer = _DeskPeer(kernel, session, address)

    def give(self, command: Command[Any, Any], arguments: Mapping[str, Any]) -> "Deferred[Any]":
        """Give a command; fires with its reply, or fails with the Refusal.

        arguments: by field; what is wrong with them is refused, as everywhere, by the kernel.
        """
        return self._peer.give(command, arguments)


class _DeskPeer(Peer):
    """A connection whose other end is in this process: answers become Deferreds."""

    __slots__ = ("_ids", "_kernel", "_waiting")

    audits = True

    def __init__(self, kernel: Kernel, session: Session, address: str) -> None:
        super().__init__(kernel.hub, _NoWire(), address, 0.0)
        self.session = session
        self._kernel = kernel
        self._ids = itertools.count(1)
        self._waiting: dict[int, tuple[Command[Any, Any], Deferred[Any]]] = {}

    def give(self, command: Command[Any, Any], arguments: Mapping[str, Any]) -> "Deferred[Any]":
        """Hand a frame to the kernel, and return what its answer will be."""
        number = next(self._ids)
        answer: Deferred[Any] = Deferred()
        self._waiting[number] = (command, answer)
        args = msgspec.Raw(codec.encode_body(dict(arguments)))
        self._kernel.receive(self, CommandFrame(id=number, do=command.name, args=args))
        return answer

    def push(self, data: bytes) -> None:
        """Take an answer; anything else that connections are told is not for desks."""
        frame = codec.decode_server(data[_HEADER_BYTES:])
        if isinstance(frame, Ok):
            command, answer = self._waiting.pop(frame.id)
            try:
                reply = codec.decode_body(command.reply, frame.body)
            except ProtocolError as error:  # a handler's mistake: whoever waits has to know
                answer.errback(error)
            else:
                answer.callback(reply)
        elif isinstance(frame, Error) and frame.id:
            _, answer = self._waiting.pop(frame.id)
            answer.errback(
                received(frame.code, frame.text, field=frame.field, retry_after=frame.retry_after)
            )


class _NoWire:
    """The wire of a desk: there is nothing between it and the caller."""

    def write(self, _data: bytes) -> None:
        """Never called: a desk's peer queues nothing."""
        raise AssertionError("a desk has no wire to write to")

    def pause_reading(self) -> None:
        """Ask for nothing: the kernel's order holds up what comes too fast."""

    def resume_reading(self) -> None:
        """Ask for nothing."""

    def close(self, code: str, text: str) -> None:
        """Leave it to the door, whose connection it is."""

    def abort(self) -> None:
        """Leave it to the door, too."""

    def authenticated(self) -> None:
        """Allow nothing more: a desk belongs to somebody who has proven who they are."""
