"""Prints what encryption costs a client: ``python benchmarks/mls.py``.

Times are CPU of this process, the median of several runs; sizes are bytes of what travels or is kept.
All in the hybrid suite, for groups of 2, 10, 100 and 1,000 devices; ``--json`` prints one line.

A group is *cold* when one commit has just added everybody, so that a path is encrypted to each member
by itself, and *warm* when each node of its tree has had a commit, so that ten encryptions reach a
thousand.  The members' trees are made as commits make them, without encrypting the paths.
"""

import argparse
import functools
import gc
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from lairchat.mls import tree_math, treekem
from lairchat.mls.group import Group
from lairchat.mls.joining import join
from lairchat.mls.key_schedule import EpochSecrets
from lairchat.mls.keypackages import OwnKeyPackage, make_key_package
from lairchat.mls.messages import (
    KeyPackageMessage,
    PrivateMessage,
    PublicMessage,
    Welcome,
    decode_message,
    encode_message,
)
from lairchat.mls.objects import MLS10, Add, BasicCredential, FromCommit, GroupContext, Lifetime
from lairchat.mls.ratchet_tree import RatchetTree
from lairchat.mls.secret_tree import Purpose
from lairchat.mls.storing import difference, restore_group, store_group
from lairchat.mls.suites import HYBRID
from lairchat.mls.transition import PublicGroup

SIZES = (2, 10, 100, 1_000)
MESSAGES = 2_000
GROUP_ID = bytes(16)
DATA = bytes(range(200))
#: How long the identity in a leaf is: an account id, a device id.
IDENTITY_BYTES = 32 + 16


def median(work: Callable[[], object], runs: int, scale: float) -> float:
    """Return the CPU time of one run, in parts of a second."""
    taken = []
    gc.collect()
    for _ in range(runs):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return statistics.median(taken) * scale


def device(number: int) -> OwnKeyPackage:
    """Return the key package of one device and its private keys."""
    identity = number.to_bytes(IDENTITY_BYTES, "big")
    key = HYBRID.generate_signature_key()
    return make_key_package(HYBRID, BasicCredential(identity), key, Lifetime(0, 2**40), os.urandom)


@functools.cache
def devices(count: int) -> list[OwnKeyPackage]:
    """Return so many devices, the same each time."""
    return [device(number) for number in range(count)]


@dataclass
class Members:
    """A group as two of its members hold it: one that sends, and one far from it that receives."""

    sender: Group
    receiver: Group


def members(count: int, *, warm: bool) -> Members:
    """Return a group of so many devices."""
    own = devices(count)
    tree = RatchetTree(HYBRID, [own[0].package.leaf])
    for number, found in enumerate(own[1:], 1):
        tree = tree.placed(number, found.package.leaf)
    private = {2 * number: found.encryption_key for number, found in enumerate(own)}
    for number in range(0, count, 2) if warm else ():
        tree = _with_path(tree, number, own[number].signing_key, private)
    public = PublicGroup(
        GroupContext(MLS10, HYBRID.id, GROUP_ID, 7, tree.tree_hash(), os.urandom(48), ()),
        tree,
        os.urandom(48),
        {},
    )
    secrets = EpochSecrets.of(HYBRID, os.urandom(48))
    tag = os.urandom(48)

    def member(leaf: int) -> Group:
        way = [2 * leaf, *tree_math.direct_path(2 * leaf, tree.leaves)]
        known = {node: private[node] for node in way if node in private}
        return Group.begin(public, leaf, own[leaf].signing_key, known, secrets, tag)

    return Members(member(0), member(count - 1))


def _with_path(
    tree: RatchetTree, leaf: int, signing_key: bytes, private: dict[int, bytes]
) -> RatchetTree:
    """Return the tree after a commit of one member, whose new keys go into ``private``."""
    drawn = treekem.draw_path(tree, leaf, os.urandom)
    private.update(drawn.private)
    tree, above = tree.with_path(leaf, [HYBRID.hpke_public(key) for key in drawn.private.values()])
    new = replace(tree.member(leaf), source=FromCommit(above))
    return tree.with_leaf(leaf, new.sign(HYBRID, signing_key, GROUP_ID, leaf))


def messages(group: Members) -> dict[str, float]:
    """Measure messages from one member to another, one after the other."""
    sent = []
    sender, receiver = group.sender, group.receiver

    def send() -> None:
        nonlocal sender
        message, sender = sender.encrypt(DATA, os.urandom)
        sent.append(message)

    def receive() -> None:
        nonlocal receiver
        found = decode_message(sent.pop(0))
        assert isinstance(found, PrivateMessage)
        received, receiver = receiver.decrypt(found)
        assert received.data == DATA

    figures = {"encrypt 200 B, us": median(send, MESSAGES, 1e6)}
    figures["message of 200 B, bytes"] = len(sent[0])
    figures["decrypt 200 B, us"] = median(receive, MESSAGES, 1e6)
    return figures


def commits(group: Members, state: str, runs: int) -> dict[str, float]:
    """Measure commits that bring new keys and nothing else."""
    made = []

    def create() -> None:
        made.append(group.sender.commit(os.urandom))

    def apply() -> None:
        found = decode_message(made[-1].message)
        assert isinstance(found, PublicMessage)
        after = group.receiver.receive_commit(found).group
        assert after is not None
        assert after.authenticator == made[-1].group.authenticator

    return {
        f"commit, {state}: create, ms": median(create, runs, 1e3),
        f"commit, {state}: apply, ms": median(apply, runs, 1e3),
        f"commit, {state}: bytes": len(made[-1].message),
    }


def joins(group: Members, runs: int) -> dict[str, float]:
    """Measure the commit that adds a device to a warm group, and how the device joins."""
    newcomers = [device(10_000 + number) for number in range(11)]
    adds = [Add(found.package) for found in newcomers]
    made = []

    def add() -> None:
        made.append(group.sender.commit(os.urandom, proposals=adds[:1]))

    figures = {"commit, warm, with an Add: create, ms": median(add, runs, 1e3)}
    welcome, tree = made[-1].welcome, made[-1].group.public.tree.encode()
    assert welcome is not None
    more = group.sender.commit(os.urandom, proposals=adds).welcome
    assert more is not None

    def enter() -> None:
        found = decode_message(welcome)
        assert isinstance(found, Welcome)
        joined = join(found, newcomers[0], tree)
        assert joined.authenticator == made[-1].group.authenticator

    return {
        **figures,
        "join by welcome and tree, ms": median(enter, runs, 1e3),
        "welcome of one, bytes": len(welcome),
        "welcome, each more, bytes": (len(more) - len(welcome)) / 10,
        "tree, bytes": len(tree),
    }


def states(group: Members, runs: int) -> dict[str, float]:
    """Measure what a member keeps, once everybody has spoken, and how it comes back."""
    keys = group.receiver.keys
    for leaf, _ in group.receiver.public.tree.members():
        keys = keys.next_key(leaf, Purpose.APPLICATION)[2]
    full = replace(group.receiver, keys=keys)
    written = difference(full.keys, full.encrypt(DATA, os.urandom)[1].keys).changed
    part, rows = store_group(full), difference(None, full.keys).changed
    tree = full.public.tree.encode()

    def restore() -> None:
        back = restore_group(part, lambda _: tree, rows, full.signing_key)
        assert back.keys.parts == full.keys.parts

    return {
        "encrypt, everybody has spoken, us": median(
            lambda: full.encrypt(DATA, os.urandom), MESSAGES, 1e6
        ),
        "state: part of the epoch, bytes": len(part),
        "state: rows, everybody has spoken": len(rows),
        "state: all rows, bytes": sum(map(len, rows.values())),
        "state: row of a message, bytes": sum(map(len, written.values())),
        "state: restore, ms": median(restore, runs, 1e3),
    }


def signatures() -> dict[str, float]:
    """Measure one signature and its check, of which the other figures are made up."""
    key = HYBRID.parse_signing_key(HYBRID.generate_signature_key())
    public, signature = HYBRID.signature_public(key), HYBRID.sign(key, b"label", DATA)
    return {
        "Ed25519, sign, us": median(lambda: HYBRID.sign(key, b"label", DATA), MESSAGES, 1e6),
        "Ed25519, verify, us": median(
            lambda: HYBRID.verify(public, b"label", DATA, signature), MESSAGES, 1e6
        ),
    }


def measure(count: int) -> dict[str, float]:
    """Return all figures of a group of so many devices."""
    runs = max(3, min(50, 3_000 // count))
    warm = members(count, warm=True)
    package = encode_message(KeyPackageMessage(devices(count)[0].package))
    return {
        **signatures(),
        "key package, bytes": len(package),
        **messages(warm),
        **states(warm, runs),
        **commits(warm, "warm", runs),
        **commits(members(count, warm=False), "cold", runs),
        **joins(warm, runs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="of groups, devices")
    options = parser.parse_args()
    figures = {count: measure(count) for count in options.sizes}
    if options.json:
        print(json.dumps({"python": platform.python_version(), "figures": figures}))
        return
    print(f"{'devices':40}" + "".join(f"{count:12,}" for count in figures))
    for name in next(iter(figures.values())):
        row = [found[name] for found in figures.values()]
        print(f"{name:40}" + "".join(f"{one:12,.{0 if one >= 100 else 1}f}" for one in row))


if __name__ == "__main__":
    main()
