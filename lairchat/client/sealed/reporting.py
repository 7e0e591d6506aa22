"""Shows one message of an encrypted room to the operators, or which change was refused there.

A message goes there as its author signed it, as it was kept when it came: the server checks the
signature, so that an operator need not believe anybody.  Nothing else leaves with it.
"""

from typing import TYPE_CHECKING

from lairchat.features.reports import messages as reports
from lairchat.model import faults, limits

if TYPE_CHECKING:
    from lairchat.client.sealed.service import Sealed


class Reporting:
    """What a member shows of a room by their own will."""

    def __init__(self, sealed: "Sealed") -> None:
        self._sealed = sealed

    async def message(self, room: int, seq: int, reason: str, edited: int) -> int:
        """Report a message as it stands; return the report's number, raise a Refusal.

        edited: how often it was when somebody agreed to show it: a kind word that its author has put in
        the place of a threat meanwhile is not what they want to be seen.
        """
        if self._sealed.message_at(room, seq).edited != edited:
            raise faults.ReportChanged(seq=seq)
        proof = self._sealed.opened.messages.proof(room, seq)
        if proof is None:
            raise faults.ReportProof(seq=seq)
        request = reports.ReportMessage(room, proof, reason)
        told: reports.Reported = await self._sealed.ask(reports.MESSAGE, request)
        return told.number

    async def change(self, room: int, reason: str) -> int:
        """Report the change that halted a room; return the report's number, raise a Refusal."""
        state = self._sealed.following(room).state
        if state is None or state.halted is None:
            raise faults.ReportNothing
        # Which of the log's commits it is the server knows by the epoch that it would have begun.
        epoch = state.group.context.epoch + 1
        why = state.halted[: limits.REASON_CHARS]
        request = reports.ReportChange(room, epoch, reason, why)
        told: reports.Reported = await self._sealed.ask(reports.CHANGE, request)
        return told.number
