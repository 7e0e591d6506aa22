"""Locks, bans and closed sessions at a real daemon: who is shut out is gone within a second."""

import json
import socket
import ssl
import time

import pytest
from twisted.internet import reactor
from twisted.internet.task import deferLater

from lairchat.demo_check import Member
from lairchat.features.rooms import messages as rooms
from lairchat.model import refusals
from lairchat.model.identity import Link
from tests.blackbox.daemon import awaited
from tests.blackbox.operators import OperatorTest

pytestmark = pytest.mark.blackbox

GONE_SECONDS = 1.0
OTHER = "127.0.0.2"
"""An address of this host that nobody in these tests has but whom they ban."""


class ShutOutTest(OperatorTest):
    def told(self, *words: str) -> dict:
        """Give a command that has to work, and return what it answers."""
        done = self.lairctl(*words, "--yes", "--json")
        assert done.returncode == 0, done
        answer = json.loads(done.stdout)
        assert isinstance(answer, dict)
        return answer

    async def gone(self, member: Member) -> None:
        """Wait until the server has closed a connection; fail after a second."""
        assert member.connection is not None
        began = time.monotonic()
        while member.connection.connected:
            assert time.monotonic() - began < GONE_SECONDS, f"{member.name} is still connected"
            await deferLater(reactor, 0.01)

    def door(self, name: str, source: str) -> str:
        """Knock at a door from an address: "open", or "shut" where nobody answers."""
        port = self.server.port if name == "chat" else self.server.door(name)
        try:
            with socket.create_connection(("127.0.0.1", port), 5, (source, 0)) as raw:
                if name == "chat":
                    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                    context.check_hostname = False
                    context.verify_mode = ssl.CERT_NONE
                    context.set_alpn_protocols(["lair/1"])
                    context.wrap_socket(raw).close()
                    return "open"
                if name == "http":
                    raw.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
                heard = raw.recv(200)
        except OSError:  # reset, or the end in the middle of TLS
            return "shut"
        return "open" if heard.startswith((b"SSH-2.0", b"HTTP/1.1 200")) else "shut"

    def doors(self, source: str) -> list[str]:
        return [self.door(name, source) for name in ("chat", "ssh", "http")]

    # -- accounts

    @awaited
    async def test_a_locked_account_is_out_until_it_is_unlocked(self) -> None:
        _alice, bob = await self.friends("alice", "bob")
        done = self.told("user", "lock", "bob", "--for", "2h", "--reason", "spam")
        assert "1 connection closed" in done["done"], done
        await self.gone(bob)
        again = self.member("bob")
        await again.connect()
        with self.assertRaises(refusals.AuthLocked):
            await again.login()
        bob.connection = again.connection
        with self.assertRaises(refusals.AuthLocked):
            await bob.resume()
        assert self.lairctl(*done["undo"].split()).returncode == 0
        await bob.resume()

    @awaited
    async def test_a_banned_account_is_out_and_others_are_not(self) -> None:
        alice, bob, carol = await self.friends("alice", "bob", "carol")
        self.told("ban", "add", "user", "bob", "--reason", "flood")
        await self.gone(bob)
        for member in (alice, carol):
            await member.ask(rooms.MINE, rooms.MyRooms())
        again = self.member("bob")
        await again.connect()
        with self.assertRaises(refusals.AuthBanned):
            await again.login()
        # ... also by a server that has been stopped in between.
        self.server.stop()
        self.server.start()
        await again.connect()
        with self.assertRaises(refusals.AuthBanned):
            await again.login()
        self.told("ban", "remove", "user", "bob")
        await again.login()

    @awaited
    async def test_a_closed_session_has_to_log_in_again(self) -> None:
        _alice, bob = await self.friends("alice", "bob")
        listed = self.lairctl("session", "list", "bob", "--json")
        (session,) = json.loads(listed.stdout)
        assert (session["connections"], session["source"]) == (1, "127.0.0.1"), session
        self.told("session", "close", str(session["session"]))
        await self.gone(bob)
        await bob.connect()
        with self.assertRaises(refusals.AuthToken):
            await bob.resume()
        await bob.login()

    @awaited
    async def test_a_forgotten_password_is_set_anew_by_a_link(self) -> None:
        _alice, bob = await self.friends("alice", "bob")
        link = Link.parse(self.told("user", "reset-password", "bob")["link"])
        assert (link.host, link.port) == ("127.0.0.1", self.server.port), link
        again = self.member("bob")
        again.password = "another one"
        await again.connect()
        assert again.server is not None
        assert again.server.matches(link.id_prefix)
        await again.register(link.code)
        await self.gone(bob)
        await bob.connect()
        with self.assertRaises(refusals.AuthFailed):
            await bob.login()
        assert link.code not in self.printed()

    @awaited
    async def test_a_link_that_an_operator_makes_lets_its_one_person_in(self) -> None:
        await self.owner("alice")
        made = self.told("user", "create", "nina", "--role", "moderator")
        nina = self.member("nina")
        await nina.connect()
        grant = await nina.register(Link.parse(made["link"]).code)
        assert (grant.name, grant.role) == ("nina", "moderator")

    # -- addresses

    @awaited
    async def test_a_banned_address_finds_every_door_shut(self) -> None:
        alice = await self.owner("alice")
        assert self.doors(OTHER) == ["open"] * 3
        self.told("ban", "add", "ip", OTHER, "--for", "1h")
        assert self.doors(OTHER) == ["shut"] * 3
        assert self.doors("127.0.0.1") == ["open"] * 3
        # Before anything else is served after a start, too.
        self.server.stop()
        self.server.start()
        assert self.doors(OTHER) == ["shut"] * 3
        self.told("ban", "remove", "ip", OTHER)
        assert self.doors(OTHER) == ["open"] * 3
        await alice.connect()

    @awaited
    async def test_what_is_open_from_a_banned_address_is_closed(self) -> None:
        """Whether it has said something or not: a connection that lives on asks on for hours."""
        await self.owner("alice")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["lair/1"])
        open_ones = {}
        for name in ("chat", "ssh", "http", "http kept alive"):
            door = name.partition(" ")[0]
            port = self.server.port if door == "chat" else self.server.door(door)
            raw = socket.create_connection(("127.0.0.1", port), 5, (OTHER, 0))
            if door == "chat":
                raw = context.wrap_socket(raw)
            elif door == "ssh":
                assert raw.recv(200).startswith(b"SSH-2.0")
            self.addCleanup(raw.close)
            open_ones[name] = raw
        open_ones["http kept alive"].sendall(
            b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
        )
        assert open_ones["http kept alive"].recv(9_000).startswith(b"HTTP/1.1 200")
        self.told("ban", "add", "ip", OTHER)
        deadline = time.monotonic() + GONE_SECONDS
        for name, raw in open_ones.items():
            raw.settimeout(max(deadline - time.monotonic(), 0.01))
            try:
                while raw.recv(9_000):
                    pass  # what it was told, and then the end
            except TimeoutError:
                self.fail(f"{name} is still open")
            except OSError:
                pass  # cut without a goodbye: as good an end

    @awaited
    async def test_a_ban_of_everybody_leaves_the_operator_of_the_host(self) -> None:
        alice = await self.owner("alice")
        # Somebody who is connected and has not logged in is out as well.
        stranger = self.member("bob")
        await stranger.connect()
        done = self.told("ban", "add", "net", "127.0.0.0/8")
        assert "1 connection closed" in done["done"], done
        await self.gone(alice)
        await self.gone(stranger)
        assert self.doors("127.0.0.1") == ["shut"] * 3
        assert self.lairctl(*done["undo"].split()).returncode == 0
        await alice.connect()
        await alice.resume()
