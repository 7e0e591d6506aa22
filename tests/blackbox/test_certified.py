"""Account logs, key packages and inboxes over real TLS, frames as large as they come."""

import os
import time
from typing import Any

import pytest
from twisted.internet import defer

from lairchat.features.accounts import messages as accounts
from lairchat.features.identities import messages as identities
from lairchat.features.inbox import messages as inbox
from lairchat.features.key_packages import messages as key_packages
from lairchat.mls.codec import decode
from lairchat.mls.keypackages import make_key_package
from lairchat.mls.objects import BasicCredential, Lifetime
from lairchat.mls.suites import HYBRID
from lairchat.model import limits, refusals
from lairchat.trust.entry import ENTRIES, Reason, Revocation
from lairchat.trust.log import read_log
from lairchat.trust.policy import CAPABILITIES, head_extension
from tests.blackbox.daemon import awaited
from tests.blackbox.test_encrypted import EncryptedTest, Peer
from tests.trust.people import device
from tests.trust.rooms import signing_seed

pytestmark = pytest.mark.blackbox

ONCE = limits.KEY_PACKAGES_AT_ONCE


def packages(peer: Peer, count: int) -> list[bytes]:
    """Make key packages of a device that the directory takes."""
    now = int(time.time())
    return [
        make_key_package(
            HYBRID,
            BasicCredential(peer.identity.encode()),
            signing_seed(peer.person.name, peer.number),
            Lifetime(now - limits.HOUR, now + limits.DAY),
            os.urandom,
            capabilities=CAPABILITIES,
            leaf_extensions=(head_extension(peer.person.log.head),),
        ).package.encode()
        for _ in range(count)
    ]


class Certified(EncryptedTest):
    async def bring(self, peer: Peer, count: int) -> list[bytes]:
        made = packages(peer, count)
        for start in range(0, count, ONCE):
            request = key_packages.PublishKeys(made[start : start + ONCE])
            await peer.member.ask(key_packages.PUBLISH, request)
        return made

    @awaited
    async def test_who_claim_at_once_never_get_the_same(self) -> None:
        peers = await self.people("alice", "bob", "carol", "dave")
        alice, others = peers[0], peers[1:]
        brought = await self.bring(alice, limits.KEY_PACKAGES)
        (last,) = packages(alice, 1)
        request = key_packages.PublishKeys([last], last_resort=True)
        left = await alice.member.ask(key_packages.PUBLISH, request)
        assert left.one_time == limits.KEY_PACKAGES
        head = await others[0].member.ask(identities.READ, identities.ReadLog(name="alice"))
        claim = key_packages.ClaimKeys(head.user, [alice.identity.device])
        asked = [one.member.ask(key_packages.CLAIM, claim) for _ in range(17) for one in others]
        claimed = [answer.keys[0] for answer in await defer.gatherResults(asked)]
        taken = [key.package for key in claimed if not key.last_resort]
        assert sorted(taken) == sorted(brought)
        assert [key.package for key in claimed if key.last_resort] == [last]

    @awaited
    async def test_what_is_as_large_as_may_be_goes_through_a_frame(self) -> None:
        alice, bob = await self.people("alice", "bob")
        account, member = alice.person.account, alice.member
        for number in range(2, limits.LOG_DEVICES + 1):
            entry = ENTRIES.write([account.say(device("alice", number))])
            request = identities.AppendEntries(number - 1, entry)
            await member.ask(identities.APPEND, request)
        assert member.server is not None
        part = await bob.member.ask(
            identities.READ, identities.ReadLog(account=account.log.account)
        )
        assert part.more
        assert len(part.data) > limits.LOG_PART_BYTES // 2
        log = read_log(part.data, member.server)
        while part.more:
            at = identities.ReadLog(account=account.log.account, after=log.head.position)
            part = await bob.member.ask(identities.READ, at)
            log = log.extend(decode(ENTRIES, part.data))
        assert log == account.log
        # Notes of the largest size fill several pages.
        body = os.urandom(limits.INBOX_NOTE_BYTES)
        note = inbox.SendNote("link", log.account, [alice.identity.device], body)
        for _ in range(5):
            await member.ask(inbox.SEND, note, member.key())
        found: list[Any] = []
        more = True
        while more:
            page = await member.ask(inbox.READ, inbox.ReadInbox(after=len(found)))
            found += page.entries
            more = page.more
        assert [(one.seq, one.body) for one in found] == [(seq, body) for seq in range(1, 6)]

    @awaited
    async def test_a_revoked_device_is_out_and_a_proof_overheard_opens_nothing(self) -> None:
        (alice,) = await self.people("alice")
        account = alice.person.account
        entry = ENTRIES.write([account.say(device("alice", 2))])
        await alice.member.ask(identities.APPEND, identities.AppendEntries(1, entry))
        member = self.member("alice")
        await member.connect()
        second = Peer(member, alice.person, 2, self.logs, self.identity.public_key)
        grant = await member.login()
        await second.prove(grant)
        assert member.server is not None
        overheard = second.proof(member.server, grant.session, grant.device)
        revoking = ENTRIES.write([account.say(Revocation(2, Reason.LOST))])
        await alice.member.ask(identities.APPEND, identities.AppendEntries(2, revoking))
        with pytest.raises(refusals.AuthToken):
            await member.ask(inbox.READ, inbox.ReadInbox())
        member.leave()
        await member.connect()
        with pytest.raises(refusals.AuthToken):
            await member.ask(accounts.RESUME, accounts.Resume(grant.token))
        await member.login()
        again = identities.ProveDevice(second.identity.device, overheard)
        with pytest.raises(refusals.DeviceGone):
            await member.ask(identities.PROVE, again)
        first = identities.ProveDevice(alice.identity.device, overheard)
        with pytest.raises(refusals.DeviceProof):
            await member.ask(identities.PROVE, first)
