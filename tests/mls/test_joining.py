"""Welcomes and external commits, true and false (RFC 9420 sections 11.2, 11.3 and 12.4.3)."""

import os
from dataclasses import replace

import pytest

from lairchat.mls import key_schedule
from lairchat.mls.errors import DecryptionError, InvalidError, MalformedError, MLSError
from lairchat.mls.group import Committed, Group, welcome_keys
from lairchat.mls.joining import join, join_external, open_welcome
from lairchat.mls.keypackages import OwnKeyPackage
from lairchat.mls.messages import (
    EncryptedGroupSecrets,
    GroupInfo,
    GroupSecrets,
    Welcome,
    decode_message,
    encode_message,
)
from lairchat.mls.objects import (
    RATCHET_TREE,
    RESUMPTION_BRANCH,
    RESUMPTION_REINIT,
    Add,
    BasicCredential,
    Capabilities,
    Ciphertext,
    Extension,
    ExternalPsk,
    PreSharedKey,
    PreSharedKeyId,
    PskIdentity,
    ReInit,
    Remove,
    ResumptionPsk,
)
from lairchat.mls.ratchet_tree import RatchetTree
from lairchat.mls.suites import HYBRID, SUITES, Suite
from lairchat.mls.transition import PublicGroup
from tests.mls.people import (
    FAST,
    GROUP_ID,
    agree,
    alone,
    grow,
    members,
    person,
    settle,
    welcomed,
)

NEW = person("new", FAST)


def _welcome(committed: Committed) -> Welcome:
    assert committed.welcome is not None
    found = decode_message(committed.welcome)
    assert isinstance(found, Welcome)
    return found


def _added(
    groups: tuple[Group, ...], own: OwnKeyPackage, **how: object
) -> tuple[Committed, Welcome]:
    committed = groups[0].commit(os.urandom, proposals=[Add(own.package)], **how)
    return committed, _welcome(committed)


class Bent:
    """A welcome that a member changes before it reaches the newcomer, with all its keys."""

    def __init__(self, groups: tuple[Group, ...], own: OwnKeyPackage, **how: object) -> None:
        self.own = own
        self.committed, self.welcome = _added(groups, own, with_tree=True, **how)
        self.suite = suite = self.committed.group.suite
        sealed = self.welcome.secrets[0].secrets
        self.secrets = GroupSecrets.decode(
            suite.decrypt_with_label(
                own.init_key,
                b"Welcome",
                self.welcome.encrypted_group_info,
                sealed.kem_output,
                sealed.ciphertext,
            )
        )
        self.info = self.committed.group.group_info(with_tree=True, external=False)

    def join(self, **parts: object) -> Group:
        """Let the newcomer join by what it has become; signed by its sender where it says so."""
        info = self.info
        if not parts.pop("unsigned", False):
            info = info.sign(self.suite, self.committed.group.signing_key)
        zero = bytes(self.suite.hash_size)
        key, nonce = welcome_keys(self.suite, self.secrets.joiner_secret, zero)
        sealed = self.suite.aead.seal(key, nonce, b"", info.encode())
        secrets = Ciphertext(
            *self.suite.encrypt_with_label(
                self.own.package.init_key, b"Welcome", sealed, self.secrets.encode()
            )
        )
        entry = EncryptedGroupSecrets(self.own.reference, secrets)
        welcome = Welcome(self.suite.id, (entry,), sealed)
        return join(decode_message(encode_message(welcome)), self.own, **parts)


@pytest.mark.parametrize("suite", [HYBRID, FAST])
@pytest.mark.parametrize("with_tree", [True, False])
def test_a_newcomer_agrees_with_all(suite: Suite, with_tree: bool) -> None:
    groups, own = members(3, suite), person("new", suite)
    committed, welcome = _added(groups, own, with_tree=with_tree)
    tree = None if with_tree else committed.group.public.tree.encode()
    agree([*settle(groups, committed, 0), join(welcome, own, tree)])


def test_several_newcomers_have_one_welcome() -> None:
    groups = members(2)
    owns = [person(f"new {number}") for number in range(3)]
    after = grow(groups, owns)
    agree(after)
    assert [group.leaf for group in after] == [0, 1, 2, 3, 4]


def test_a_welcome_is_for_who_was_added() -> None:
    _, welcome = _added(members(2, FAST), NEW)
    with pytest.raises(InvalidError, match="not for this key package"):
        join(welcome, person("other", FAST))
    with pytest.raises(InvalidError, match="another cipher suite"):
        join(welcome, person("other"))
    with pytest.raises(InvalidError, match="not known"):
        join(replace(welcome, cipher_suite=0xFFFF), NEW)


def test_a_welcome_opens_with_the_keys_of_its_key_package_only() -> None:
    """A key package whose init key was swapped on its way is of no use to who swapped it."""
    _, welcome = _added(members(2, FAST), NEW)
    swapped = replace(NEW, init_key=person("x", FAST).init_key)
    with pytest.raises(DecryptionError):
        join(welcome, swapped)


def test_every_bent_bit_of_a_welcome_is_refused() -> None:
    committed, _ = _added(members(2, FAST), NEW, with_tree=True)
    assert committed.welcome is not None
    for offset in range(len(committed.welcome)):
        bent = bytearray(committed.welcome)
        bent[offset] ^= 1 << (offset % 8)
        with pytest.raises(MLSError):
            join(_decoded(bytes(bent)), NEW)
    join(_welcome(committed), NEW)


def _decoded(data: bytes) -> Welcome:
    found = decode_message(data)
    if not isinstance(found, Welcome):
        raise MalformedError("not a welcome")
    return found


# What a newcomer reads before it has the tree.


@pytest.mark.parametrize("suite", [HYBRID, FAST])
@pytest.mark.parametrize("with_tree", [True, False])
def test_a_newcomer_learns_from_a_welcome_which_tree_to_ask_for(
    suite: Suite, with_tree: bool
) -> None:
    groups, own = members(3, suite), person("new", suite)
    committed, welcome = _added(groups, own, with_tree=with_tree)
    info = open_welcome(welcome, own)
    assert info.context == committed.group.context
    assert (info.context.group_id, info.context.epoch) == (
        GROUP_ID,
        groups[0].context.epoch + 1,
    )
    assert info.signer == 0
    tree = committed.group.public.tree
    assert info.context.tree_hash == tree.tree_hash()
    assert join(welcome, own, None if with_tree else tree.encode()).context == info.context


def test_a_welcome_for_another_key_package_is_not_opened() -> None:
    _, welcome = _added(members(2, FAST), NEW)
    with pytest.raises(InvalidError, match="not for this key package"):
        open_welcome(welcome, person("other", FAST))
    # Its reference alone is of no use: that is public.
    with pytest.raises(DecryptionError):
        open_welcome(welcome, replace(NEW, init_key=person("x", FAST).init_key))


def test_a_welcome_of_another_suite_is_not_opened() -> None:
    _, welcome = _added(members(2, FAST), NEW)
    with pytest.raises(InvalidError, match="another cipher suite"):
        open_welcome(welcome, person("other"))
    with pytest.raises(InvalidError, match="another cipher suite"):
        open_welcome(replace(welcome, cipher_suite=HYBRID.id), NEW)
    with pytest.raises(InvalidError, match="not known"):
        open_welcome(replace(welcome, cipher_suite=0xFFFF), NEW)


def test_a_welcome_with_a_pre_shared_key_is_not_opened() -> None:
    """Rooms have none; who is led into a group by one has been told of it elsewhere."""
    said = [Add(NEW.package), PreSharedKey(_named(ExternalPsk(b"secret")))]
    welcome = _welcome(members(2, FAST)[0].commit(os.urandom, proposals=said, psks=lambda _: b"k"))
    with pytest.raises(InvalidError, match="pre-shared key"):
        open_welcome(welcome, NEW)


def test_every_bent_bit_of_what_a_welcome_seals_is_refused() -> None:
    _, welcome = _added(members(2, FAST), NEW)
    (entry,) = welcome.secrets
    right = open_welcome(welcome, NEW)

    def bents(data: bytes) -> list[bytes]:
        # Once a byte, another bit of each.
        return [
            data[:at] + bytes([byte ^ 1 << at % 8]) + data[at + 1 :] for at, byte in enumerate(data)
        ]

    sealed = [
        replace(welcome, encrypted_group_info=one) for one in bents(welcome.encrypted_group_info)
    ]
    secrets = [
        replace(welcome, secrets=(replace(entry, secrets=replace(entry.secrets, **{part: one})),))
        for part in ("kem_output", "ciphertext")
        for one in bents(getattr(entry.secrets, part))
    ]
    named = [
        replace(welcome, secrets=(replace(entry, new_member=one),))
        for one in bents(entry.new_member)
    ]
    for bent in (*sealed, *secrets, *named):
        with pytest.raises(MLSError):
            open_welcome(bent, NEW)
    assert open_welcome(welcome, NEW) == right


@pytest.mark.parametrize("junk", [b"", b"\0", bytes(100), b"\xff" * 300])
def test_garbage_in_the_place_of_what_a_welcome_seals(junk: bytes) -> None:
    """A member can seal anything to a newcomer: that it opens does not make it readable."""
    bent = Bent(members(2, FAST), NEW)
    suite, info = bent.suite, bent.welcome.encrypted_group_info

    def sealed(secrets: bytes, info: bytes) -> Welcome:
        hidden = suite.encrypt_with_label(NEW.package.init_key, b"Welcome", info, secrets)
        entry = EncryptedGroupSecrets(NEW.reference, Ciphertext(*hidden))
        return Welcome(suite.id, (entry,), info)

    with pytest.raises(MLSError):
        open_welcome(sealed(junk, info), NEW)
    key, nonce = welcome_keys(suite, bent.secrets.joiner_secret, bytes(suite.hash_size))
    with pytest.raises(MLSError):
        open_welcome(sealed(bent.secrets.encode(), suite.aead.seal(key, nonce, b"", junk)), NEW)


# The tree beside it.


def test_another_tree_beside_a_welcome_is_refused() -> None:
    groups = members(3, FAST)
    committed, welcome = _added(groups, NEW)
    right = committed.group.public.tree
    blank = right.removed(1)
    swapped = right.with_leaf(1, person("impostor", FAST).package.leaf)
    hidden = right.with_leaf(1, groups[2].own_leaf)
    for tree in (blank, swapped, hidden, groups[0].public.tree):
        with pytest.raises(InvalidError, match="not the tree"):
            join(welcome, NEW, tree.encode())
    with pytest.raises(InvalidError, match="no tree"):
        join(welcome, NEW)
    for junk in (b"", b"\0", b"\1\0", right.encode()[:-1], right.encode() + b"\0"):
        with pytest.raises(MLSError):
            join(welcome, NEW, junk)
    join(welcome, NEW, right.encode())


def test_a_bent_tree_beside_a_welcome_is_refused() -> None:
    committed, welcome = _added(members(3, FAST), NEW)
    right = committed.group.public.tree.encode()
    for offset in range(len(right)):
        bent = bytearray(right)
        bent[offset] ^= 1 << (offset % 8)
        with pytest.raises(MLSError):
            join(welcome, NEW, bytes(bent))


# A member who lies to a newcomer.


def test_what_a_member_bends_is_right_when_unbent() -> None:
    agree([Bent(members(3, FAST), NEW).join()])


def test_a_path_secret_for_a_path_that_the_tree_does_not_have() -> None:
    """It used to end in a failed assertion: the nodes are blank after a commit without a path."""
    bent = Bent(members(3, FAST), NEW, path=False)
    bent.secrets = replace(bent.secrets, path_secret=os.urandom(32))
    with pytest.raises(InvalidError, match="path secret"):
        bent.join()


@pytest.mark.parametrize("secret", [b"", bytes(31), bytes(32), bytes(33)])
def test_a_path_secret_that_does_not_give_the_trees_keys(secret: bytes) -> None:
    """Section 12.4.3.1: else the newcomer would encrypt to keys of somebody else's."""
    bent = Bent(members(3, FAST), NEW)
    bent.secrets = replace(bent.secrets, path_secret=secret)
    with pytest.raises(InvalidError, match="path secret"):
        bent.join()


def test_a_group_of_another_suite_than_the_welcome() -> None:
    """A client of several suites would be led into the weakest one."""
    both = Capabilities((1,), (FAST.id, 3), (), (), (1,))
    own = person("new", FAST, capabilities=both)
    bent = Bent((alone(person("a", FAST, capabilities=both)),), own)
    bent.info = replace(bent.info, context=replace(bent.info.context, cipher_suite=3))
    with pytest.raises(InvalidError, match="another cipher suite"):
        bent.join()


@pytest.mark.parametrize(
    ("part", "match"),
    [
        ({"version": 2}, "another version"),
        ({"group_id": b"x"}, "does not verify"),
        ({"tree_hash": bytes(32)}, "not the tree"),
        ({"epoch": 9}, "confirmation tag"),
        ({"confirmed_transcript_hash": bytes(32)}, "confirmation tag"),
        ({"extensions": (Extension(0xF001, b""),)}, "does not support"),
        ({"extensions": (Extension(5, b"\0"), Extension(5, b"\0"))}, "twice"),
        ({"extensions": (Extension(3, b""),)}, "length"),
    ],
)
def test_a_group_that_is_not_as_it_says(part: dict[str, object], match: str) -> None:
    bent = Bent(members(3, FAST), NEW)
    bent.info = replace(bent.info, context=replace(bent.info.context, **part))
    with pytest.raises(MLSError, match=match):
        bent.join()


def test_group_information_that_nobody_in_it_signed() -> None:
    bent = Bent(members(3, FAST), NEW)
    bent.info = replace(bent.info, signature=bytes(64))
    with pytest.raises(InvalidError, match="does not verify"):
        bent.join(unsigned=True)
    for signer, match in ((1, "does not verify"), (9, "no member"), (2**32 - 1, "no member")):
        bent.info = replace(bent.info, signer=signer)
        with pytest.raises(InvalidError, match=match):
            bent.join()


def test_extensions_of_group_information_stand_once() -> None:
    bent = Bent(members(3, FAST), NEW)
    (tree,) = bent.info.extensions
    assert tree.type == RATCHET_TREE
    bent.info = replace(bent.info, extensions=(tree, tree))
    with pytest.raises(InvalidError, match="twice"):
        bent.join()


def test_a_tag_that_does_not_confirm() -> None:
    bent = Bent(members(3, FAST), NEW)
    bent.info = replace(bent.info, confirmation_tag=bytes(32))
    with pytest.raises(InvalidError, match="confirmation tag"):
        bent.join()
    bent = Bent(members(3, FAST), NEW)
    bent.secrets = replace(bent.secrets, joiner_secret=bytes(32))
    with pytest.raises(InvalidError, match="confirmation tag"):
        bent.join()


def test_a_newcomer_looks_for_itself_in_the_tree() -> None:
    groups = members(3, FAST)
    bent = Bent(groups, NEW)
    bent.info = groups[0].group_info(with_tree=True)
    with pytest.raises(InvalidError, match="not in the tree"):
        bent.join()


def test_a_welcome_into_a_group_of_lies() -> None:
    """A stranger makes a group in which it claims that a member is, with that member's public leaf.

    The leaf is signed for its place in its group, so it stands nowhere else.
    """
    real = members(3, FAST, (), 1)
    stranger = alone(person("stranger", FAST))
    stranger = replace(
        stranger, public=replace(stranger.public, context=replace(stranger.context, group_id=b"x"))
    )
    committed, _ = _added((stranger,), NEW)
    tree = committed.group.public.tree
    fake = tree.placed(tree.free_leaf(), real[1].own_leaf)
    context = replace(committed.group.context, tree_hash=fake.tree_hash())
    info = GroupInfo(context, (), bytes(32), 0, b"").sign(FAST, stranger.signing_key)
    with pytest.raises(InvalidError, match="does not verify"):
        PublicGroup.of(info, RatchetTree.decode(FAST, fake.encode()))


# Pre-shared keys and successors.


def _named(key: PskIdentity, nonce: bytes | None = None) -> PreSharedKeyId:
    return PreSharedKeyId(key, os.urandom(32) if nonce is None else nonce)


@pytest.mark.parametrize(
    "psks",
    [
        (_named(ExternalPsk(b"x"), bytes(31)),),
        (_named(ResumptionPsk(0, b"", 0)),),
        (_named(ResumptionPsk(9, b"", 0)),),
        (_named(ResumptionPsk(RESUMPTION_REINIT, b"", 0)),),
        (_named(ResumptionPsk(RESUMPTION_BRANCH, b"", 0)),),
        tuple(_named(ResumptionPsk(RESUMPTION_BRANCH, b"", 0)) for _ in range(2)),
    ],
)
def test_pre_shared_keys_that_have_no_place_in_a_welcome(psks: tuple[PreSharedKeyId, ...]) -> None:
    bent = Bent(members(3, FAST), NEW)
    bent.secrets = replace(bent.secrets, psks=psks)
    known = [(psk, b"k") for psk in psks]
    mixed = key_schedule.psk_secret(FAST, known)
    key, nonce = welcome_keys(FAST, bent.secrets.joiner_secret, mixed)
    sealed = FAST.aead.seal(key, nonce, b"", bent.info.encode())
    secrets = Ciphertext(
        *FAST.encrypt_with_label(NEW.package.init_key, b"Welcome", sealed, bent.secrets.encode())
    )
    entry = EncryptedGroupSecrets(NEW.reference, secrets)
    with pytest.raises(InvalidError, match=r"section (8\.4|12\.4\.3\.1)"):
        join(Welcome(FAST.id, (entry,), sealed), NEW, psks=lambda _: b"k")


def test_more_pre_shared_keys_than_can_be_counted() -> None:
    """Their number has 16 bits (section 8.4); it used to overflow."""
    psks = [(PreSharedKeyId(ExternalPsk(b""), b""), b"")] * 2**16
    with pytest.raises(InvalidError, match="65535"):
        key_schedule.psk_secret(FAST, psks)


class TestSuccessors:
    """Sections 11.2 and 11.3."""

    REINIT = ReInit(b"the successor", 1, HYBRID.id, ())

    def setup_method(self) -> None:
        groups = members(2, FAST)
        self.old = settle(groups, groups[0].commit(os.urandom, proposals=[self.REINIT]), 0)

    def _succeed(
        self,
        usage: int,
        suite: Suite,
        group_id: bytes = b"the successor",
        name: str = "member 1",
        epoch: int | None = None,
    ) -> tuple[Committed, OwnKeyPackage]:
        owns = [person("member 0", suite), person(name, suite)]
        old = self.old[0]
        here = old.context.epoch if epoch is None else epoch
        key = ResumptionPsk(usage, old.context.group_id, here)
        psk = PreSharedKey(PreSharedKeyId(key, os.urandom(suite.hash_size)))
        new = Group.create(owns[0], group_id, (), os.urandom)
        committed = new.commit(
            os.urandom,
            proposals=[Add(owns[1].package), psk],
            psks=lambda _: old.resumption_psk,
            with_tree=True,
        )
        return committed, owns[1]

    def _join(self, committed: Committed, own: OwnKeyPackage, predecessor: Group | None) -> Group:
        return join(
            _welcome(committed),
            own,
            psks=lambda _: self.old[1].resumption_psk,
            predecessor=predecessor,
        )

    def test_what_was_announced_is_joined(self) -> None:
        committed, own = self._succeed(RESUMPTION_REINIT, HYBRID)
        agree([committed.group, self._join(committed, own, self.old[1])])

    def test_nothing_else_is(self) -> None:
        open_group = members(2, FAST)[1]
        for how, predecessor in (
            ({"suite": FAST}, self.old[1]),
            ({"suite": HYBRID, "group_id": b"another"}, self.old[1]),
            ({"suite": HYBRID, "epoch": 0}, self.old[1]),
            ({"suite": HYBRID}, open_group),
            ({"suite": HYBRID}, None),
        ):
            committed, own = self._succeed(RESUMPTION_REINIT, **how)
            with pytest.raises(InvalidError, match=r"successor|announced"):
                self._join(committed, own, predecessor)

    def test_a_group_that_is_no_successor_does_not_pass_for_one(self) -> None:
        _, welcome = _added(members(2, FAST), NEW, with_tree=True)
        with pytest.raises(InvalidError, match="successor"):
            join(welcome, NEW, predecessor=self.old[1])

    def test_a_branch_has_nobody_from_outside_and_the_same_suite(self) -> None:
        committed, own = self._succeed(RESUMPTION_BRANCH, FAST)
        agree([committed.group, self._join(committed, own, self.old[1])])
        for suite, name in ((HYBRID, "member 1"), (FAST, "a stranger")):
            committed, own = self._succeed(RESUMPTION_BRANCH, suite, name=name)
            with pytest.raises(InvalidError, match="branch"):
                self._join(committed, own, self.old[1])

    def test_a_successor_begins_with_its_creators_commit_only(self) -> None:
        """Not with the commit of somebody who joins it from outside."""
        new = Group.create(person("member 0", FAST), b"x", (), os.urandom)
        key = ResumptionPsk(RESUMPTION_REINIT, GROUP_ID, 1)
        with pytest.raises(InvalidError, match="another use"):
            join_external(
                new.group_info(with_tree=True),
                person("member 1", FAST),
                os.urandom,
                use=[PreSharedKeyId(key, os.urandom(32))],
                psks=lambda _: b"k",
            )


# External commits.


@pytest.mark.parametrize("suite", [HYBRID, FAST])
def test_who_joins_by_itself_agrees_with_all(suite: Suite) -> None:
    groups, own = members(3, suite), person("new", suite)
    info = GroupInfo.decode(groups[1].group_info(with_tree=True).encode())
    committed = join_external(info, own, os.urandom, authenticated_data=b"why")
    after = [*settle(groups, committed), committed.group]
    agree(after)
    message, _ = after[3].encrypt(b"hello", os.urandom)
    assert after[0].decrypt(decode_message(message))[0].sender == 3


def test_who_joins_by_itself_may_bring_a_pre_shared_key() -> None:
    groups = members(2, FAST)
    psk = _named(ExternalPsk(b"x"))
    committed = join_external(
        groups[0].group_info(with_tree=True), NEW, os.urandom, use=[psk], psks=lambda _: b"k"
    )
    agree([*settle(groups, committed, psks=lambda _: b"k"), committed.group])
    with pytest.raises(InvalidError):
        settle(groups, committed)


def test_the_last_one_left_comes_back_by_itself() -> None:
    old = alone(person("me", FAST))
    own = person("me", FAST)
    committed = join_external(old.group_info(with_tree=True), own, os.urandom, remove=0)
    assert [leaf.credential for _, leaf in committed.group.public.tree.members()] == [
        BasicCredential(b"me")
    ]
    assert old.receive_commit(decode_message(committed.message)).group is None
    agree([committed.group])


def test_group_information_for_joiners_is_checked_like_a_welcomes() -> None:
    groups = members(3, FAST)
    info = groups[0].group_info(with_tree=True)
    for part in ({"signer": 1}, {"signature": b""}, {"confirmation_tag": bytes(32)}):
        with pytest.raises(InvalidError):
            join_external(replace(info, **part), NEW, os.urandom)
    with pytest.raises(MLSError):
        join_external(info, NEW, os.urandom, remove=9)
    # A suite that the tree is not of.
    assert 3 in SUITES
    other = replace(info, context=replace(info.context, cipher_suite=3))
    with pytest.raises(InvalidError):
        join_external(other, NEW, os.urandom)


def test_a_removed_member_does_not_come_back_with_an_old_key() -> None:
    """Section 12.4.3.2: what it joins by is of an epoch that is over."""
    groups = members(3, FAST)
    info = groups[2].group_info(with_tree=True)
    back = join_external(info, person("back", FAST), os.urandom)
    left = settle(groups, groups[0].commit(os.urandom, proposals=[Remove(2)]), 0)
    with pytest.raises(InvalidError):
        settle(left, back)


def test_who_is_added_is_added_with_what_the_commit_knew() -> None:
    """A commit that adds and does not go through leaves no welcome that opens a group."""
    groups = members(2, FAST)
    lost, _ = _added(groups, NEW)
    won = groups[1].commit(os.urandom)
    ghost = welcomed(lost, NEW)
    after = settle(groups, won, 1)
    message, _ = after[0].encrypt(b"x", os.urandom)
    with pytest.raises(MLSError):
        ghost.decrypt(decode_message(message))
