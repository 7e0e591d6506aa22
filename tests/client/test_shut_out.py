"""What a person's own client makes of an operator's decisions: locks, bans, a new password."""

from lairchat.client import inputs
from lairchat.features.accounts import tables
from lairchat.features.accounts.rules import hashed_code
from lairchat.features.accounts.tables import Lock
from lairchat.model import refusals
from lairchat.model.identity import invite_code
from lairchat.model.refusal import Refusal
from lairchat.model.roles import ServerRole
from tests.client.network import IDENTITY, NetworkTest, Person


class ShutOut(NetworkTest):
    def user(self, name: str) -> tables.User:
        server = self.network.server
        return server.look(lambda connection: tables.user_by_name(connection, name))

    def close(self, name: str, refusal: Refusal) -> None:
        """Close somebody's connections, as a lock or a ban does."""
        hub = self.network.server.hub
        hub.close_sessions(self.user(name).id, lambda _: True, refusal.code, refusal.text)
        self.settle()

    def test_it_is_told_once_and_nobody_knocks_again(self) -> None:
        how = " until 2026-11-23 14:06 UTC (spam)"
        for name, refusal in (
            ("alice", refusals.AuthLocked(name="alice", how=how)),
            ("bob", refusals.AuthBanned(name="bob", how=how)),
        ):
            person = self.person(name).enter()
            self.close(name, refusal)
            halted = person.last(inputs.Halted)
            assert (halted.code, "(spam)" in halted.text) == (refusal.code, True)
            dialled = self.network.dialled
            self.network.wait(60)
            assert self.network.dialled == dialled
            person.leave()

    def test_the_session_is_kept_for_when_the_lock_ends(self) -> None:
        alice = self.person("alice").enter()
        user, server = self.user("alice").id, self.network.server
        lock = Lock(server.now() + 60_000, "spam")
        server.change(lambda connection: tables.set_lock(connection, user, lock))
        self.network.pipe.cut()
        self.network.wait(5)
        assert alice.last(inputs.Halted).code == "LC-AUTH-LOCKED"
        alice.leave()
        self.network.wait(60)
        again = self.reopened(alice).start()
        assert again.last(inputs.LoggedIn).user == "alice"
        assert not again.of(inputs.AccountNeeded)

    def test_a_link_for_a_new_password_is_followed_like_an_invitation(self) -> None:
        alice = self.person("alice").enter()
        user, server = self.user("alice").id, self.network.server
        code = invite_code(server.random(17))
        server.change(
            lambda connection: tables.create_invite(
                connection,
                hashed_code(code),
                ServerRole.USER,
                uses=1,
                by=None,
                now=server.now(),
                expires=server.now() + 60_000,
                name="alice",
                account=user,
            )
        )
        alice.leave()
        prefix = IDENTITY.id.prefix128
        other = Person(self.network, alice.root, "mallory", code=code, id_prefix=prefix).start()
        other.register("new", code)
        refused = other.last(inputs.AccountRefused)
        assert (refused.code, refused.field) == ("LC-INVITE-NAME", "name")
        assert '"alice"' in refused.text
        other.name = "alice"
        other.register("new", code)
        assert other.last(inputs.LoggedIn).user == "alice", other.inputs
        other.leave()
        again = self.reopened(other).start()
        assert again.last(inputs.LoggedIn).user == "alice"
        # Only one of the two devices is left.
        assert len(server.look(lambda c: tables.sessions_of(c, user))) == 1
