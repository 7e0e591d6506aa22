"""The official test vectors of MLS (mlswg/mls-implementations), X-Wing and HPKE: every file, every case.

Each test says which file it runs; what a case has to show is in the files' own description,
``test-vectors.md``.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes

from lairchat.mls import framing, hpke, kem, key_schedule, tree_math, treekem
from lairchat.mls.codec import Reader, decode, length
from lairchat.mls.errors import MisuseError, ReplayError
from lairchat.mls.group import psk_secret, welcome_keys
from lairchat.mls.joining import join
from lairchat.mls.keypackages import OwnKeyPackage
from lairchat.mls.messages import (
    AuthenticatedContent,
    GroupInfo,
    GroupSecrets,
    KeyPackageMessage,
    PrivateMessage,
    PublicMessage,
    Welcome,
    decode_message,
    encode_message,
)
from lairchat.mls.objects import (
    PROPOSAL,
    RESUMPTION_APPLICATION,
    Add,
    Commit,
    ExternalInit,
    ExternalPsk,
    FromCommit,
    GroupContext,
    GroupContextExtensions,
    PreSharedKey,
    PreSharedKeyId,
    PskIdentity,
    ReInit,
    Remove,
    ResumptionPsk,
    Update,
    UpdatePath,
)
from lairchat.mls.ratchet_tree import RatchetTree
from lairchat.mls.secret_tree import Purpose, SecretTree
from lairchat.mls.suites import HYBRID, suite_of
from lairchat.mls.tree_checks import check_tree

Case = dict[str, Any]
h = bytes.fromhex
#: Cases of each file; a file that was cut short must not pass.
COUNTS = {
    "mls/tree-math": 10,
    "mls/crypto-basics": 7,
    "mls/deserialization": 14,
    "mls/key-schedule": 7,
    "mls/message-protection": 7,
    "mls/messages": 300,
    "mls/passive-client-handling-commit": 91,
    "mls/passive-client-welcome": 56,
    "mls/psk_secret": 77,
    "mls/secret-tree": 21,
    "mls/transcript-hashes": 7,
    "mls/tree-operations": 5,
    "mls/tree-validation": 98,
    "mls/treekem": 77,
    "mls/welcome": 7,
    "xwing/test-vectors": 3,
    "hpke-pq/test-vectors": 13,
}
ran: dict[str, int] = {}


@pytest.fixture(scope="module", autouse=True)
def _told(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    # On the terminal even when the tests pass.
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and ran:
        reporter.write_line(f"\nofficial vectors: {sum(ran.values())} cases of {len(ran)} files")


@pytest.fixture
def cases(vectors: Path) -> Callable[[str], list[Case]]:
    def load(name: str) -> list[Case]:
        found: list[Case] = json.loads((vectors / f"{name}.json").read_text())
        assert len(found) == COUNTS[name]
        ran[name] = len(found)
        return found

    return load


Cases = Callable[[str], list[Case]]


def test_every_file_is_run(vectors: Path) -> None:
    there = {f"mls/{path.stem}" for path in (vectors / "mls").glob("*.json")}
    assert there == {name for name in COUNTS if name.startswith("mls/")}


def test_tree_math(cases: Cases) -> None:
    for case in cases("mls/tree-math"):
        leaves, nodes = case["n_leaves"], case["n_nodes"]
        assert tree_math.node_width(leaves) == nodes
        assert tree_math.root(leaves) == case["root"]
        for node in range(nodes):
            if not tree_math.is_leaf(node):
                assert tree_math.left(node) == case["left"][node]
                assert tree_math.right(node) == case["right"][node]
            if node != case["root"]:
                assert tree_math.parent(node) == case["parent"][node]
                assert tree_math.sibling(node) == case["sibling"][node]


def test_vector_lengths(cases: Cases) -> None:
    for case in cases("mls/deserialization"):
        header = h(case["vlbytes_header"])
        assert Reader(header).length() == case["length"]
        assert length(case["length"]) == header


def test_crypto_basics(cases: Cases) -> None:
    for case in cases("mls/crypto-basics"):
        suite = suite_of(case["cipher_suite"])
        v = case["ref_hash"]
        assert suite.ref_hash(v["label"].encode(), h(v["value"])) == h(v["out"])
        v = case["expand_with_label"]
        label, context = v["label"].encode(), h(v["context"])
        assert suite.expand_with_label(h(v["secret"]), label, context, v["length"]) == h(v["out"])
        v = case["derive_secret"]
        assert suite.derive_secret(h(v["secret"]), v["label"].encode()) == h(v["out"])
        v = case["derive_tree_secret"]
        derived = suite.derive_tree_secret(
            h(v["secret"]), v["label"].encode(), v["generation"], v["length"]
        )
        assert derived == h(v["out"])
        v = case["sign_with_label"]
        label, content = v["label"].encode(), h(v["content"])
        suite.verify(h(v["pub"]), label, content, h(v["signature"]))
        suite.verify(h(v["pub"]), label, content, suite.sign(h(v["priv"]), label, content))
        assert suite.signature_public(h(v["priv"])) == h(v["pub"])
        v = case["encrypt_with_label"]
        private, label, context = h(v["priv"]), v["label"].encode(), h(v["context"])
        sealed = h(v["kem_output"]), h(v["ciphertext"])
        assert suite.decrypt_with_label(private, label, context, *sealed) == h(v["plaintext"])
        sealed = suite.encrypt_with_label(h(v["pub"]), label, context, h(v["plaintext"]))
        assert suite.decrypt_with_label(private, label, context, *sealed) == h(v["plaintext"])


def test_messages(cases: Cases) -> None:
    structs = {
        "group_secrets": GroupSecrets,
        "add_proposal": Add,
        "update_proposal": Update,
        "remove_proposal": Remove,
        "pre_shared_key_proposal": PreSharedKey,
        "re_init_proposal": ReInit,
        "external_init_proposal": ExternalInit,
        "group_context_extensions_proposal": GroupContextExtensions,
        "commit": Commit,
    }
    for case in cases("mls/messages"):
        for name, value in case.items():
            data = h(value)
            if name in structs:
                assert structs[name].decode(data).encode() == data
            elif name == "ratchet_tree":
                # The layout does not depend on the suite, and the tree does not say which it is.
                assert RatchetTree.decode(HYBRID, data).encode() == data
            else:
                assert encode_message(decode_message(data)) == data


def test_key_schedule(cases: Cases) -> None:
    names = {
        "sender_data": "sender_data_secret",
        "encryption": "encryption_secret",
        "exporter": "exporter_secret",
        "external": "external_secret",
        "confirmation": "confirmation_key",
        "membership": "membership_key",
        "resumption": "resumption_psk",
        "authenticator": "epoch_authenticator",
        "init": "init_secret",
    }
    for case in cases("mls/key-schedule"):
        suite = suite_of(case["cipher_suite"])
        init = h(case["initial_init_secret"])
        for number, epoch in enumerate(case["epochs"]):
            hashes_ = h(epoch["tree_hash"]), h(epoch["confirmed_transcript_hash"])
            context = GroupContext(1, suite.id, h(case["group_id"]), number, *hashes_, ())
            assert context.encode() == h(epoch["group_context"])
            joiner = key_schedule.joiner_secret(suite, init, h(epoch["commit_secret"]), context)
            assert joiner == h(epoch["joiner_secret"])
            mixed = h(epoch["psk_secret"])
            assert key_schedule.welcome_secret(suite, joiner, mixed) == h(epoch["welcome_secret"])
            secrets = key_schedule.epoch_secrets(suite, joiner, mixed, context)
            for ours, theirs in names.items():
                assert getattr(secrets, ours) == h(epoch[theirs])
            external = suite.hpke_public(suite.hpke_derive(secrets.external))
            assert external == h(epoch["external_pub"])
            v = epoch["exporter"]
            asked = v["label"].encode(), h(v["context"]), v["length"]
            exported = key_schedule.exported(suite, secrets.exporter, *asked)
            assert exported == h(v["secret"])
            init = secrets.init


def test_psk_secret(cases: Cases) -> None:
    for case in cases("mls/psk_secret"):
        suite = suite_of(case["cipher_suite"])
        known = {h(psk["psk_id"]): h(psk["psk"]) for psk in case["psks"]}
        wanted = [
            PreSharedKeyId(ExternalPsk(h(psk["psk_id"])), h(psk["psk_nonce"]))
            for psk in case["psks"]
        ]
        secret = psk_secret(suite, wanted, lambda psk, known=known: known[psk.psk_id])
        assert secret == h(case["psk_secret"])


def test_transcript_hashes(cases: Cases) -> None:
    for case in cases("mls/transcript-hashes"):
        suite = suite_of(case["cipher_suite"])
        reader = Reader(h(case["authenticated_content"]))
        content = AuthenticatedContent.read(reader)
        reader.finish()
        assert content.encode() == h(case["authenticated_content"])
        before = h(case["interim_transcript_hash_before"])
        after = key_schedule.confirmed_transcript(suite, before, content.transcript_input())
        assert after == h(case["confirmed_transcript_hash_after"])
        tag = content.confirmation_tag
        assert tag is not None
        interim = key_schedule.interim_transcript(suite, after, tag)
        assert interim == h(case["interim_transcript_hash_after"])
        suite.check_mac(h(case["confirmation_key"]), after, tag, "the tag")


def test_secret_tree(cases: Cases) -> None:
    for case in cases("mls/secret-tree"):
        suite = suite_of(case["cipher_suite"])
        v = case["sender_data"]
        key = framing.sender_data_key(suite, h(v["sender_data_secret"]), h(v["ciphertext"]))
        assert (key.key, key.nonce) == (h(v["key"]), h(v["nonce"]))
        tree = SecretTree.new(suite, len(case["leaves"]), h(case["encryption_secret"]))
        for leaf, generations in enumerate(case["leaves"]):
            for v in generations:
                for purpose in (Purpose.HANDSHAKE, Purpose.APPLICATION):
                    name = purpose.name.lower()
                    key, tree = tree.key_of(leaf, purpose, v["generation"])
                    assert key.key == h(v[f"{name}_key"])
                    assert key.nonce == h(v[f"{name}_nonce"])


def test_message_protection(cases: Cases) -> None:
    for case in cases("mls/message-protection"):
        suite = suite_of(case["cipher_suite"])
        hashes_ = h(case["tree_hash"]), h(case["confirmed_transcript_hash"])
        context = GroupContext(1, suite.id, h(case["group_id"]), case["epoch"], *hashes_, ())
        secrets = key_schedule.EpochSecrets(
            h(case["sender_data_secret"]), b"", b"", b"", b"", h(case["membership_key"]), b"", b"", b""
        )  # fmt: skip
        public, private = h(case["signature_pub"]), h(case["signature_priv"])
        for name in ("proposal", "commit", "application"):
            tree = SecretTree.new(suite, 2, h(case["encryption_secret"]))
            message = decode_message(h(case[f"{name}_priv"]))
            assert isinstance(message, PrivateMessage)
            content, _, left = framing.open_private(suite, message, secrets.sender_data, tree)
            content.check_signature(suite, public, context)
            assert _raw(content) == h(case[name])
            with pytest.raises(ReplayError):
                framing.open_private(suite, message, secrets.sender_data, left)
            signed = content.sign(suite, private, context)
            sent, _ = framing.protect_private(suite, signed, secrets, tree, os.urandom, 50)
            opened, _, _ = framing.open_private(suite, sent, secrets.sender_data, tree)
            opened.check_signature(suite, public, context)
            assert opened == signed
            if name == "application":
                with pytest.raises(MisuseError):
                    framing.protect_public(suite, signed, secrets, context)
                continue
            shown = decode_message(h(case[f"{name}_pub"]))
            assert isinstance(shown, PublicMessage)
            content = framing.check_public(suite, shown, secrets, context)
            content.check_signature(suite, public, context)
            assert _raw(content) == h(case[name])
            signed = content.sign(suite, private, context)
            again = framing.protect_public(suite, signed, secrets, context)
            assert framing.check_public(suite, again, secrets, context) == signed


def _raw(content: AuthenticatedContent) -> bytes:
    inner = content.framed.content
    return inner.data if hasattr(inner, "data") else inner.encode()


def test_tree_validation(cases: Cases) -> None:
    for case in cases("mls/tree-validation"):
        tree = RatchetTree.decode(suite_of(case["cipher_suite"]), h(case["tree"]))
        assert tree.encode() == h(case["tree"])
        for node, (hashed, resolution) in enumerate(
            zip(case["tree_hashes"], case["resolutions"], strict=True)
        ):
            assert tree.tree_hash(node) == h(hashed)
            assert tree.resolution(node) == resolution
        check_tree(tree, h(case["group_id"]))


def test_tree_operations(cases: Cases) -> None:
    for case in cases("mls/tree-operations"):
        tree = RatchetTree.decode(suite_of(case["cipher_suite"]), h(case["tree_before"]))
        assert tree.tree_hash() == h(case["tree_hash_before"])
        match decode(PROPOSAL, h(case["proposal"])):
            case Add(package):
                after = tree.placed(tree.free_leaf(), package.leaf)
            case Update(leaf):
                after = tree.updated(case["proposal_sender"], leaf)
            case Remove(removed):
                after = tree.removed(removed)
        assert after.encode() == h(case["tree_after"])
        assert after.tree_hash() == h(case["tree_hash_after"])
        assert tree.encode() == h(case["tree_before"])


def test_treekem(cases: Cases) -> None:
    for case in cases("mls/treekem"):
        suite = suite_of(case["cipher_suite"])
        tree = RatchetTree.decode(suite, h(case["ratchet_tree"]))
        group_id = h(case["group_id"])
        members = {}
        for member in case["leaves_private"]:
            private = {2 * member["index"]: h(member["encryption_priv"])}
            for v in member["path_secrets"]:
                secret = suite.derive_secret(h(v["path_secret"]), b"node")
                private[v["node"]] = suite.hpke_derive(secret)
            for node, key in private.items():
                there = tree.node(node)
                assert there is not None
                assert suite.hpke_public(key) == there.encryption_key
            members[member["index"]] = private, h(member["signature_priv"])
        for v in case["update_paths"]:
            path, sender = UpdatePath.decode(h(v["update_path"])), v["sender"]
            after, parent_hash = tree.with_path(
                sender, [node.encryption_key for node in path.nodes]
            )
            assert path.leaf.source == FromCommit(parent_hash)
            path.leaf.check_signature(suite, group_id, sender)
            after = after.with_leaf(sender, path.leaf)
            assert after.tree_hash() == h(v["tree_hash_after"])
            context = GroupContext(
                1, suite.id, group_id, case["epoch"], after.tree_hash(),
                h(case["confirmed_transcript_hash"]), (),
            )  # fmt: skip
            for index, secret in enumerate(v["path_secrets"]):
                if secret is None or index not in members:
                    continue
                private, _ = members[index]
                opened = treekem.open_path(after, sender, path.nodes, index, private, context, ())
                assert opened.commit_secret == h(v["commit_secret"])
                above = treekem.common_ancestor(index, sender)
                assert opened.secrets[above] == h(secret)
            _new_path(tree, sender, path, members, context)


def _new_path(
    tree: RatchetTree,
    sender: int,
    path: UpdatePath,
    members: dict[int, tuple[dict[int, bytes], bytes]],
    context: GroupContext,
) -> None:
    """Make a path of our own in the vector's tree: all can open it, and the tree stays valid."""
    suite = tree.suite
    drawn = treekem.draw_path(tree, sender, os.urandom)
    keys = [suite.hpke_public(key) for key in drawn.private.values()]
    after, parent_hash = tree.with_path(sender, keys)
    leaf = replace(path.leaf, source=FromCommit(parent_hash))
    after = after.with_leaf(sender, leaf.sign(suite, members[sender][1], context.group_id, sender))
    context = replace(context, tree_hash=after.tree_hash())
    check_tree(after, context.group_id)
    nodes = treekem.seal_path(after, sender, drawn, context, ())
    for index, (private, _) in members.items():
        if index != sender:
            opened = treekem.open_path(after, sender, nodes, index, private, context, ())
            assert opened.commit_secret == drawn.commit_secret


def test_welcome(cases: Cases) -> None:
    for case in cases("mls/welcome"):
        suite = suite_of(case["cipher_suite"])
        package, welcome = (
            decode_message(h(case["key_package"])),
            decode_message(h(case["welcome"])),
        )
        assert isinstance(package, KeyPackageMessage)
        assert isinstance(welcome, Welcome)
        reference = package.key_package.reference(suite)
        (entry,) = (entry for entry in welcome.secrets if entry.new_member == reference)
        sealed = entry.secrets.kem_output, entry.secrets.ciphertext
        secrets = GroupSecrets.decode(
            suite.decrypt_with_label(
                h(case["init_priv"]), b"Welcome", welcome.encrypted_group_info, *sealed
            )
        )
        zero = bytes(suite.hash_size)
        keys = welcome_keys(suite, secrets.joiner_secret, zero)
        info = GroupInfo.decode(suite.aead.open(*keys, b"", welcome.encrypted_group_info))
        info.check_signature(suite, h(case["signer_pub"]))
        epoch = key_schedule.epoch_secrets(suite, secrets.joiner_secret, zero, info.context)
        confirmed = info.context.confirmed_transcript_hash
        suite.check_mac(epoch.confirmation, confirmed, info.confirmation_tag, "the tag")


@pytest.mark.parametrize("name", ["passive-client-welcome", "passive-client-handling-commit"])
def test_passive_client(cases: Cases, name: str) -> None:
    for case in cases(f"mls/{name}"):
        suite = suite_of(case["cipher_suite"])
        message = decode_message(h(case["key_package"]))
        assert isinstance(message, KeyPackageMessage)
        own = OwnKeyPackage(
            message.key_package,
            h(case["init_priv"]),
            h(case["encryption_priv"]),
            h(case["signature_priv"]),
        )
        assert suite.hpke_public(own.init_key) == own.package.init_key
        assert suite.hpke_public(own.encryption_key) == own.package.leaf.encryption_key
        assert suite.signature_public(own.signing_key) == own.package.leaf.signature_key
        known: dict[PskIdentity, bytes] = {
            ExternalPsk(h(psk["psk_id"])): h(psk["psk"]) for psk in case["external_psks"]
        }
        welcome = decode_message(h(case["welcome"]))
        assert isinstance(welcome, Welcome)
        tree = h(case["ratchet_tree"]) if case["ratchet_tree"] else None
        group = join(welcome, own, tree, known.get)
        assert group.authenticator == h(case["initial_epoch_authenticator"])
        for epoch in case["epochs"]:
            here = group.context
            this = ResumptionPsk(RESUMPTION_APPLICATION, here.group_id, here.epoch)
            known[this] = group.resumption_psk
            for proposal in epoch["proposals"]:
                sent = decode_message(h(proposal))
                assert isinstance(sent, PublicMessage | PrivateMessage)
                _, group = group.receive_proposal(sent)
            sent = decode_message(h(epoch["commit"]))
            assert isinstance(sent, PublicMessage | PrivateMessage)
            staged = group.receive_commit(sent, known.get)
            assert staged.group is not None
            group = staged.group
            assert group.authenticator == h(epoch["epoch_authenticator"])


def test_xwing(cases: Cases) -> None:
    for case in cases("xwing/test-vectors"):
        assert kem.XWING.public(h(case["seed"])) == h(case["pk"])
        assert kem.XWING.decapsulate(h(case["ct"]), h(case["sk"])) == h(case["ss"])


def test_hpke(cases: Cases) -> None:
    kems = {found.id: found for found in (kem.P256, kem.P384, kem.P521, kem.X25519, kem.X448)}
    aeads = {
        found.id: found for found in (hpke.AES_128_GCM, hpke.AES_256_GCM, hpke.CHACHA20_POLY1305)
    }
    kdfs = {1: hashes.SHA256(), 2: hashes.SHA384(), 3: hashes.SHA512()}
    schedules = 0
    for case in cases("hpke-pq/test-vectors"):
        mechanism = {**kems, kem.XWING.id: kem.XWING}.get(case["kem_id"])
        if mechanism is None:
            continue  # a KEM of the draft that MLS has no suite for
        private = h(case["skRm"])
        assert mechanism.public(private) == h(case["pkRm"])
        assert mechanism.public(mechanism.derive(h(case["ikmR"]))) == h(case["pkRm"])
        assert mechanism.decapsulate(h(case["enc"]), private) == h(case["shared_secret"])
        if case["kdf_id"] not in kdfs or case["aead_id"] not in aeads:
            continue  # a one-stage KDF of the draft, over another KEM in another case
        schedules += 1
        scheme = hpke.Hpke(mechanism, kdfs[case["kdf_id"]], aeads[case["aead_id"]])
        first = case["encryptions"][0]
        opened = scheme.open(
            h(case["enc"]), private, h(case["info"]), h(first["aad"]), h(first["ct"])
        )
        assert opened == h(first["pt"])
        for v in case["exports"]:
            wanted = h(v["exporter_context"]), v["L"]
            exported = scheme.receive_export(h(case["enc"]), private, h(case["info"]), *wanted)
            assert exported == h(v["exported_value"])
    assert schedules == 1
