"""Gets the key of the backup from another device of the account, and hands it to one that asks."""

from typing import TYPE_CHECKING

from twisted.logger import Logger

from lairchat.e2ee import handing
from lairchat.e2ee.handing import Asked, Handed
from lairchat.features.inbox import messages as wire
from lairchat.mls.errors import MLSError
from lairchat.model import faults, limits
from lairchat.model.ids import command_id
from lairchat.model.refusal import Refusal
from lairchat.trust.secret import SecretBytes
from lairchat.trust.signing import SigningKey

if TYPE_CHECKING:
    from lairchat.client.sealed.service import Sealed


class Handing:
    """The question of this device that is open, and the answers to those of others."""

    log = Logger()

    def __init__(self, sealed: "Sealed") -> None:
        self._sealed = sealed
        # In memory alone: a device that has forgotten it asks again.
        self._private: SecretBytes | None = None

    async def ask(self) -> None:
        """Ask all other devices of the account for the backup's key; raises a Refusal."""
        own = self._sealed.require_own()
        in_force = self._sealed.device.account_log.in_force
        others = [one.body.id for one in in_force if one.body.id != own.identity.device]
        self._private, note = handing.ask(
            own.identity, SigningKey(own.signing), self._sealed.random
        )
        for start in range(0, len(others), limits.KEY_PACKAGES_AT_ONCE):
            await self._send(others[start : start + limits.KEY_PACKAGES_AT_ONCE], note)

    async def _send(self, devices: list[bytes], note: bytes) -> None:
        account = self._sealed.require_own().identity.account
        key = command_id(self._sealed.link.server_now(), self._sealed.random(10))
        await self._sealed.ask(wire.SEND, wire.SendNote("link", account, devices, note), key)

    async def noted(self, body: bytes) -> bool:
        """Take a note out of the inbox; False if it is none about the backup's key."""
        try:
            note = handing.read_note(body)
            if isinstance(note, Asked):
                await self._answer(note)
            elif isinstance(note, Handed):
                self._take(note)
        except MLSError as error:
            self.log.info("a note about the backup: {why}", why=str(error))
            return True
        except faults.NetLost:
            raise
        except Refusal as refusal:
            # Whoever asked asks again.
            self.log.info("the backup's key was not handed over: {code}", code=refusal.code)
        return note is not None

    async def _answer(self, asked: Asked) -> None:
        backup = self._sealed.opened.backups.key()
        if backup is None:
            return
        own = self._sealed.require_own()
        # As it is now: a device that has been revoked meanwhile gets nothing.
        await self._sealed.directory.read(own.identity.account)
        log, key = self._sealed.device.account_log, SigningKey(own.signing)
        note = handing.answer(log, asked, own.identity, key, backup)
        await self._send([asked.device], note)

    def _take(self, handed: Handed) -> None:
        if self._private is None:
            return
        own, log = self._sealed.require_own(), self._sealed.device.account_log
        key = handing.take(log, handed, own.identity, self._private)
        self._private = None
        self._sealed.opened.backups.keep_key(key)
        self._sealed.backup.online()
        self._sealed.places.online()
