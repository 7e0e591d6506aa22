"""Keys: who may change whose, and whom they let in."""

import base64

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from twisted.cred.error import UnauthorizedLogin

from lairchat.core.portal import ICaller, KnownKey
from lairchat.features.accounts import tables as accounts
from lairchat.features.bans.messages import ADD_BAN, REMOVE_BAN
from lairchat.features.keys.messages import ADD_KEY, LIST_KEYS, REMOVE_KEY, KeyList
from lairchat.features.keys.rules import digest_of, fingerprint
from lairchat.features.keys.tables import drop_key
from lairchat.features.user_admin.messages import LOCK_USER, SET_ROLE, UNLOCK_USER
from lairchat.model import limits
from lairchat.model.refusals import (
    AuthLocked,
    Denied,
    SshKeyBad,
    SshKeysMax,
    SshKeySuspended,
    SshKeyTaken,
    SshKeyUnknown,
    UserUnknown,
)
from lairchat.model.roles import ServerRole
from lairchat.operator.answer import answer_of, shape_of
from lairchat.operator.line import Format
from lairchat.operator.render import render
from tests.features.operators import OperatorCase


def new_key(comment="desk"):
    """Return the line of a new key, and the form in which SSH sends it."""
    public = ed25519.Ed25519PrivateKey.generate().public_key()
    text = public.public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    ).decode()
    return f"{text} {comment}", base64.b64decode(text.split()[1])


class KeyCase(OperatorCase):
    def setUp(self):
        super().setUp()
        self.key, self.blob = new_key()

    def listed(self, name=""):
        return self.do(self.local, LIST_KEYS, name=name).keys

    def prove(self, name, blob=None):
        """Log in as the shell does, once it has seen the signature."""
        key = KnownKey(name, blob or self.blob)
        _, caller, _ = self.server.result(self.server.kernel.portal.login(key, None, ICaller))
        return caller.user, caller.name, caller.role


class ChangingTests(KeyCase):
    def test_a_key_is_added_shown_and_removed(self):
        shown = fingerprint(digest_of(self.blob))
        added = self.do(self.local, ADD_KEY, name="ADAM", key=self.key)
        self.assertEqual(added.done, f"added key 1 to adam: ssh-ed25519 {shown}")
        self.assertEqual((added.undo, added.fingerprint), ("user key remove adam 1", shown))
        (kept,) = self.listed()
        self.assertEqual((kept.user, kept.fingerprint, kept.label), ("adam", shown, "desk"))
        self.assertEqual((kept.added, kept.used), (self.server.now(), 0))
        removed = self.do(self.local, REMOVE_KEY, name="adam", key="1")
        self.assertEqual(removed.done, f"removed key 1 of adam: {shown}")
        self.assertEqual(self.listed(), [])

    def test_a_label_of_ones_own_is_made_safe(self):
        self.do(self.local, ADD_KEY, name="adam", key=self.key, label=" \x1b[31mold\nlaptop ")
        self.assertTrue(self.listed()[0].label.isprintable())

    def test_adding_again_is_harmless_and_never_moves_a_key(self):
        self.do(self.local, ADD_KEY, name="adam", key=self.key)
        again = self.do(self.local, ADD_KEY, name="adam", key=self.key)
        self.assertIn("already", again.done)
        self.assertEqual(again.undo, "")
        refusal = self.refuse(SshKeyTaken, self.local, ADD_KEY, name="olga", key=self.key)
        self.assertIn("adam", refusal.text)
        self.assertEqual([key.user for key in self.listed()], ["adam"])

    def test_a_key_is_removed_by_its_fingerprint_too(self):
        added = self.do(self.local, ADD_KEY, name="adam", key=self.key)
        self.refuse(SshKeyUnknown, self.local, REMOVE_KEY, name="olga", key=added.fingerprint)
        self.do(self.local, REMOVE_KEY, name="adam", key=added.fingerprint)
        self.refuse(SshKeyUnknown, self.local, REMOVE_KEY, name="adam", key="1")

    def test_rank_keeps_others_from_becoming_somebody_by_a_key(self):
        for name in ("olga", "adam"):
            for desk, allowed in (
                (self.local, True),
                (self.olga, True),
                (self.adam, name == "adam"),
            ):
                key, _ = new_key()
                if allowed:
                    self.do(desk, ADD_KEY, name=name, key=key)
                else:
                    self.refuse(Denied, desk, ADD_KEY, name=name, key=key)
        self.refuse(Denied, self.adam, REMOVE_KEY, name="olga", key="1")
        self.do(self.adam, ADD_KEY, name="mona", key=self.key)

    def test_who_has_no_use_for_a_key_is_named(self):
        added = self.do(self.local, ADD_KEY, name="eve", key=self.key)
        self.assertIn("the shell is for moderators and above; eve is user", added.done)

    def test_a_rehearsal_adds_nothing(self):
        added = self.do(self.local, ADD_KEY, name="adam", key=self.key, dry_run=True)
        self.assertTrue(added.done.startswith("added key 1 to adam"))
        self.assertEqual(self.listed(), [])

    def test_refusals(self):
        self.refuse(UserUnknown, self.local, ADD_KEY, name="nobody", key=self.key)
        self.refuse(UserUnknown, self.local, LIST_KEYS, name="nobody")
        self.refuse(UserUnknown, self.local, REMOVE_KEY, name="nobody", key="1")
        self.refuse(SshKeyBad, self.local, ADD_KEY, name="adam", key="ssh-ed25519 AAAA")

    def test_an_account_has_so_many_keys(self):
        for _ in range(limits.KEYS_PER_USER):
            self.do(self.local, ADD_KEY, name="adam", key=new_key()[0])
        self.refuse(SshKeysMax, self.local, ADD_KEY, name="adam", key=self.key)
        self.do(self.local, ADD_KEY, name="olga", key=self.key)

    def test_pages(self):
        self.patch(limits, "OPERATOR_PAGE", 2)
        for name in ("adam", "olga", "mona", "adam"):
            self.do(self.local, ADD_KEY, name=name, key=new_key()[0])
        first = self.do(self.local, LIST_KEYS)
        rest = self.do(self.local, LIST_KEYS, after=first.next)
        self.assertEqual(
            [key.user for key in first.keys + rest.keys], ["adam", "olga", "mona", "adam"]
        )
        self.assertIsNone(rest.next)
        self.assertEqual(len(self.listed("adam")), 2)


class LoginTests(KeyCase):
    def setUp(self):
        super().setUp()
        self.do(self.local, ADD_KEY, name="adam", key=self.key)

    def test_a_known_key_lets_its_owner_in(self):
        adam = (self.user("adam"), "adam", ServerRole.ADMIN)
        for name in ("adam", "ADAM", "admin"):
            self.assertEqual(self.prove(name), adam)
        self.assertEqual(self.listed()[0].used, self.server.now())

    def test_unknown_keys_and_other_names_are_told_nothing(self):
        for name, blob in (
            ("adam", new_key()[1]),
            ("olga", self.blob),
            ("nobody", self.blob),
            ("", self.blob),
            ("admin", new_key()[1]),
            ("\x1b[2J", self.blob),
            ("adam", b""),
        ):
            self.assertRaises(UnauthorizedLogin, self.prove, name, blob or b"?")

    def test_a_removed_key_is_an_unknown_one_and_the_doors_are_told(self):
        told = []
        self.server.kernel.standing_watchers.append(told.append)
        self.do(self.local, REMOVE_KEY, name="adam", key="1")
        self.assertEqual(told, [self.user("adam")])
        self.assertRaises(UnauthorizedLogin, self.prove, "adam")

    def test_a_key_that_is_removed_while_it_is_looked_at_lets_nobody_in(self):
        storage = self.server.kernel.storage
        call = storage.call

        def later(change):
            call(lambda connection: drop_key(connection, 1))
            return call(change)

        self.patch(storage, "call", later)
        self.assertRaises(UnauthorizedLogin, self.prove, "adam")

    def test_the_alias_is_for_administrators(self):
        key, blob = new_key()
        self.do(self.local, ADD_KEY, name="mona", key=key)
        self.assertRaises(UnauthorizedLogin, self.prove, "admin", blob)
        self.assertEqual(self.prove("mona", blob)[2], ServerRole.MODERATOR)

    def test_the_role_is_the_one_of_this_moment(self):
        self.set_account("adam", role=int(ServerRole.USER))
        self.assertRaises(UnauthorizedLogin, self.prove, "admin")
        self.assertRaises(Denied, self.prove, "adam")

    def test_who_rises_leaves_the_keys_of_others_behind(self):
        told = []
        self.server.kernel.standing_watchers.append(told.append)
        blobs = {}
        for desk in (self.adam, self.olga, self.local):
            key, blobs[desk] = new_key()
            self.do(desk, ADD_KEY, name="eve", key=key)
        self.do(self.adam, SET_ROLE, name="eve", role="moderator")
        for blob in blobs.values():
            self.assertEqual(self.prove("eve", blob)[2], ServerRole.MODERATOR)
        risen = self.do(self.olga, SET_ROLE, name="eve", role="owner")
        self.assertEqual(
            risen.done, "eve is owner now, was moderator (1 key that others had added taken away)"
        )
        self.assertRaises(UnauthorizedLogin, self.prove, "eve", blobs[self.adam])
        for desk in (self.olga, self.local):
            self.assertEqual(self.prove("eve", blobs[desk])[2], ServerRole.OWNER)
        self.assertEqual(told[-1], self.user("eve"))

    def given_by_adam(self, to="mona"):
        """Have adam leave a key in another account; return it, and as what SSH sends it."""
        key, blob = new_key()
        self.do(self.adam, ADD_KEY, name=to, key=key)
        return key, blob

    def state(self, name="mona"):
        return [(key.by, key.state) for key in self.listed(name)]

    def test_a_list_says_who_has_added_each_key_and_when(self):
        self.do(self.desk("adam"), ADD_KEY, name="adam", key=new_key()[0])
        self.server.wait(60)
        self.given_by_adam()
        self.assertEqual(
            [(key.user, key.by, key.state) for key in self.listed()],
            [("adam", "", "ok"), ("adam", "adam", "ok"), ("mona", "adam", "ok")],
        )
        self.assertEqual(self.listed("mona")[0].added, self.server.now())

    def test_at_eighty_columns_the_list_says_so_too(self):
        self.given_by_adam()
        self.do(self.olga, SET_ROLE, name="adam", role="user")
        reply = self.do(self.local, LIST_KEYS, name="mona")
        answer = answer_of(shape_of(KeyList), reply, reply.keys)
        shown = render(answer, Format.TEXT, 80)
        for word in ("STATE", "BY", "ADDED", "suspended", "adam", "SHA256:"):
            self.assertIn(word, shown)

    def test_who_is_demoted_does_not_come_back_by_a_key_left_in_another_account(self):
        _, blob = self.given_by_adam()
        self.given_by_adam("eve")
        told = []
        self.server.kernel.standing_watchers.append(told.append)
        fallen = self.do(self.olga, SET_ROLE, name="adam", role="moderator")
        self.assertEqual(
            fallen.done,
            "adam is moderator now, was admin "
            "(2 keys that adam added to others suspended: user key list)",
        )
        self.assertEqual(set(told), {self.user(name) for name in ("adam", "mona", "eve")})
        self.assertRaises(SshKeySuspended, self.prove, "mona", blob)
        self.assertEqual(self.state(), [("adam", "suspended")])
        self.assertEqual(self.listed("mona")[0].used, 0)
        self.do(self.olga, SET_ROLE, name="adam", role="admin")
        self.assertEqual(self.prove("mona", blob)[1], "mona")

    def test_nor_who_is_locked_or_banned(self):
        _, blob = self.given_by_adam()
        for shut, opened in (
            ((LOCK_USER, {"name": "adam"}), (UNLOCK_USER, {"name": "adam"})),
            (
                (ADD_BAN, {"kind": "user", "target": "adam"}),
                (REMOVE_BAN, {"kind": "user", "target": "adam"}),
            ),
        ):
            told = []
            self.server.kernel.standing_watchers[:] = [told.append]
            done = self.do(self.olga, shut[0], **shut[1]).done
            self.assertIn("(1 key that adam added to others suspended: user key list)", done)
            self.assertEqual(set(told), {self.user("adam"), self.user("mona")})
            self.assertRaises(SshKeySuspended, self.prove, "mona", blob)
            self.assertEqual(self.state(), [("adam", "suspended")])
            self.do(self.olga, opened[0], **opened[1])
            self.assertEqual(self.prove("mona", blob)[1], "mona")

    def test_who_may_adds_a_suspended_key_again_and_stands_for_it(self):
        key, blob = self.given_by_adam()
        self.do(self.olga, ADD_KEY, name="mona", key=key)
        self.assertEqual(self.state(), [("adam", "ok")])  # it stood already
        self.do(self.olga, SET_ROLE, name="adam", role="user")
        self.refuse(Denied, self.desk("mona"), ADD_KEY, name="mona", key=key)
        again = self.do(self.olga, ADD_KEY, name="mona", key=key)
        self.assertIn("key 2 of mona is not suspended any more", again.done)
        self.assertEqual(self.state(), [("olga", "ok")])
        self.assertEqual(self.prove("mona", blob)[1], "mona")

    def test_keys_of_ones_own_and_of_the_host_stay_good(self):
        key, blob = new_key()
        self.do(self.adam, ADD_KEY, name="adam", key=key)
        self.do(self.olga, SET_ROLE, name="adam", role="moderator")
        for one in (blob, self.blob):
            self.assertEqual(self.prove("adam", one)[2], ServerRole.MODERATOR)

    def test_who_rises_past_the_one_who_added_a_key_is_not_reached_by_it(self):
        """Behind the back of `user role`, which would have taken the key away."""
        _, blob = self.given_by_adam()
        self.set_account("mona", role=int(ServerRole.ADMIN))
        self.assertRaises(SshKeySuspended, self.prove, "mona", blob)

    def test_a_locked_account_is_told_so_to_its_own_key_only(self):
        self.set_account("adam", state=accounts.LOCKED)
        self.assertRaises(AuthLocked, self.prove, "adam")
        self.assertRaises(UnauthorizedLogin, self.prove, "adam", new_key()[1])
        self.assertEqual(self.listed()[0].used, 0)
