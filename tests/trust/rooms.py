"""Encrypted rooms to test with: real devices of real accounts, and every commit checked by all."""

import os
from dataclasses import replace

from lairchat.mls.errors import MLSError
from lairchat.mls.group import Committed, Group
from lairchat.mls.joining import join, join_external
from lairchat.mls.keypackages import OwnKeyPackage, make_key_package
from lairchat.mls.messages import PrivateMessage, PublicMessage, Welcome, decode_message
from lairchat.mls.objects import Add, BasicCredential, Extension, Lifetime, Proposal
from lairchat.mls.suites import HYBRID, Suite
from lairchat.trust.leaf import LeafIdentity
from lairchat.trust.log import AccountLog
from lairchat.trust.policy import (
    CAPABILITIES,
    NO_HEAD,
    Because,
    Policy,
    Removal,
    context_extensions,
    encode_reasons,
    head_extension,
    private_policy,
)
from lairchat.trust.structure import Change, check_commit, check_group
from tests.trust.people import Account, device, key, seed

SERVER_KEY = key("server", "proposals")
GROUP_ID = bytes(16)
ALWAYS = Lifetime(0, 2**63)
#: What a removal says that its sender's role allows.
NO_REASON = Removal(Because.DECIDED, NO_HEAD)


def signing_seed(name: str, number: int = 1) -> bytes:
    """Return the private MLS signature key of the device that people.device names."""
    return seed(name, "device", number)


class Person:
    """An account and its devices."""

    def __init__(self, name: str, devices: int = 1) -> None:
        self.account = Account(name)
        self.name = name
        for number in range(1, devices + 1):
            self.account.say(device(name, number))

    @property
    def id(self) -> bytes:
        return self.account.log.account

    @property
    def log(self) -> AccountLog:
        return self.account.log

    def identity(self, number: int = 1) -> LeafIdentity:
        return LeafIdentity(self.id, device(self.name, number).id)

    def package(
        self,
        number: int = 1,
        *,
        suite: Suite = HYBRID,
        extensions: tuple[Extension, ...] | None = None,
        signing_key: bytes | None = None,
        log: AccountLog | None = None,
        lifetime: Lifetime = ALWAYS,
    ) -> OwnKeyPackage:
        """Return a fresh key package of a device, right unless an argument makes it wrong."""
        head = head_extension((log or self.log).head)
        return make_key_package(
            suite,
            BasicCredential(self.identity(number).encode()),
            signing_key or signing_seed(self.name, number),
            lifetime,
            os.urandom,
            capabilities=replace(CAPABILITIES, cipher_suites=(suite.id,)),
            leaf_extensions=(head,) if extensions is None else extensions,
        )

    def found(self, policy: Policy | None = None, number: int = 1) -> Group:
        """Begin a room of one's own."""
        extensions = context_extensions(policy or private_policy([self.id]), SERVER_KEY.public)
        return Group.create(self.package(number), GROUP_ID, extensions, os.urandom)


class Room:
    """A room as its members see it; each applies what the others commit, if it is allowed."""

    def __init__(self, founder: Person, *people: Person, policy: Policy | None = None) -> None:
        self.people = {person.id: person for person in (founder, *people)}
        self.members: dict[LeafIdentity, Group] = {founder.identity(): founder.found(policy)}
        for person in people:
            self.add(founder, person)

    @property
    def logs(self) -> dict[bytes, AccountLog]:
        return {account: person.log for account, person in self.people.items()}

    def group(self, person: Person, number: int = 1) -> Group:
        return self.members[person.identity(number)]

    def leaf(self, person: Person, number: int = 1) -> int:
        return self.group(person, number).leaf

    def know(self, *people: Person) -> None:
        self.people.update({person.id: person for person in people})

    def add(self, by: Person, person: Person, number: int = 1, *, own: int = 1) -> Change:
        """Add a device by a commit and let it join by its welcome."""
        self.know(person)
        package = person.package(number)
        committed = self.group(by, own).commit(
            os.urandom, proposals=[Add(package.package)], with_tree=True
        )
        change = self.take(by, committed, own)
        assert committed.welcome is not None
        welcome = decode_message(committed.welcome)
        assert isinstance(welcome, Welcome)
        joined = join(welcome, package)
        check_group(joined.public, SERVER_KEY.public, self.logs)
        self.members[person.identity(number)] = joined
        self.agree()
        return change

    def commit(
        self,
        by: Person,
        *proposals: Proposal,
        said: bytes = b"",
        number: int = 1,
        references: list[bytes] | None = None,
    ) -> Change:
        """Commit proposals; every member checks and follows."""
        committed = self.group(by, number).commit(
            os.urandom,
            proposals=proposals,
            references=references,
            authenticated_data=said,
        )
        change = self.take(by, committed, number)
        self.agree()
        return change

    def take(self, by: Person, committed: Committed, number: int = 1) -> Change:
        before = self.group(by, number).public
        change = check_commit(before, committed.transition, SERVER_KEY.public, self.logs)
        after = self._after(committed, by.identity(number), change)
        after[by.identity(number)] = committed.group
        self.members = after
        return change

    def _after(
        self, committed: Committed, by: LeafIdentity, change: Change
    ) -> dict[LeafIdentity, Group]:
        message = decode_message(committed.message)
        assert isinstance(message, PublicMessage)
        after = {}
        for identity, group in self.members.items():
            if identity == by:
                continue
            staged = group.receive_commit(message)
            seen = check_commit(group.public, staged.transition, SERVER_KEY.public, self.logs)
            assert seen == change
            if staged.group is not None:
                after[identity] = staged.group
        return after

    def rejoin(
        self, person: Person, number: int = 1, *, remove: int | None = None, via: Person
    ) -> Change:
        """Let a device join by itself, by the group information of somebody."""
        info = self.group(via).group_info(with_tree=True)
        said = encode_reasons(NO_REASON) if remove is not None else b""
        committed = join_external(
            info, person.package(number), os.urandom, remove=remove, authenticated_data=said
        )
        before = self.group(via).public
        change = check_commit(before, committed.transition, SERVER_KEY.public, self.logs)
        old = person.identity(number)
        after = self._after(committed, old, change)
        self.members = {**after, old: committed.group}
        self.agree()
        return change

    def agree(self) -> None:
        """Hold all members to one state."""
        assert len({group.authenticator for group in self.members.values()}) == 1

    def hears(self, sender: Person, hearer: Person, text: bytes = b"text") -> bool:
        """Tell whether a message from one is read by another."""
        message, group = self.group(sender).encrypt(text, os.urandom)
        self.members[sender.identity()] = group
        body = decode_message(message)
        assert isinstance(body, PrivateMessage)
        try:
            received, group = self.group(hearer).decrypt(body)
        except MLSError:
            return False
        self.members[hearer.identity()] = group
        return received.data == text
