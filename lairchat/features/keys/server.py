"""Answers for the keys of operators, and proves who calls by one of them.

Whoever adds a key to an account can become it: rank protects accounts from that.  It is judged in
the transaction that adds the key, and again in each that lets somebody in by it: an administrator
who was demoted, locked or banned must not come back by a key that he has left in another account.
"""

from typing import Any

from sqlalchemy.engine import Connection
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred
from zope.interface import implementer

from lairchat.core.call import Call
from lairchat.core.feature import Feature
from lairchat.core.kernel import Kernel
from lairchat.core.plan import Done, Read, Write
from lairchat.core.portal import Caller, IKnownKey
from lairchat.features.accounts import rules as account_rules
from lairchat.features.accounts import tables as accounts
from lairchat.features.accounts.tables import User
from lairchat.features.keys import messages, rules, tables
from lairchat.features.keys.tables import KeptKey
from lairchat.model import limits, refusals
from lairchat.model.ids import LOCAL_OPERATOR
from lairchat.model.names import name_key
from lairchat.model.permissions import ServerAction, may_server
from lairchat.model.roles import ServerRole
from lairchat.model.text import display_clip
from lairchat.wire.contract import Outcome

ANY_ADMIN = "admin"
"""The login name that stands for whichever administrator has the key; nobody may be called so."""


@implementer(ICredentialsChecker)
class KeyChecker:
    """Finds out whose key has been proven, and whether the shell is for them."""

    credentialInterfaces = (IKnownKey,)

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def requestAvatarId(self, credentials: Any) -> Any:
        """Fire with who this is.

        Fails with UnauthorizedLogin for a key that is not this account's, the same as for an
        account that is not there; to its owner with AuthLocked, AuthBanned, Denied for a role that
        has nothing to do in the shell, or SshKeySuspended.
        """
        return Deferred.fromCoroutine(self._prove(credentials))

    async def _prove(self, credentials: Any) -> Caller:
        kernel, digest = self._kernel, rules.digest_of(credentials.blob)
        # Read first: keys that nobody knows are no work for the writer.
        found = await kernel.storage.read(
            lambda connection: self._judge(connection, credentials.name, digest)
        )
        if found is not None:
            # Again, in the writer's turn: whoever takes a key or a role away meanwhile has those
            # looked at who are in, and this one is not in yet.
            found = await kernel.storage.call(
                lambda connection: self._let_in(connection, credentials.name, digest)
            )
        if found is None:
            raise UnauthorizedLogin
        caller: Caller = found[0]
        return caller

    def _let_in(
        self, connection: Connection, name: str, digest: bytes
    ) -> tuple[Caller, int] | None:
        found = self._judge(connection, name, digest)
        if found is not None:
            tables.note_use(connection, found[1], self._kernel.now())
        return found

    def _judge(self, connection: Connection, name: str, digest: bytes) -> tuple[Caller, int] | None:
        """Return whose key this is, and its number; None if it is not this account's."""
        key = tables.key_by_digest(connection, digest)
        account = None if key is None else accounts.account_by_id(connection, key.user)
        if key is None or account is None:
            return None
        wanted = name_key(name)
        by_alias = wanted == ANY_ADMIN and account.role >= ServerRole.ADMIN
        if not by_alias and wanted != name_key(account.name):
            return None
        account.require_unlocked(self._kernel.now())
        self._kernel.admitting(connection, account.id)
        if account.role < ServerRole.MODERATOR:
            raise refusals.Denied
        if not _stands(self._kernel, connection, key, account.role):
            raise refusals.SshKeySuspended(name=account.name)
        return Caller(account.id, account.name, account.role), key.id


def _stands(kernel: Kernel, connection: Connection, key: KeptKey, role: ServerRole) -> bool:
    """Say whether whoever has added a key to an account of this role may still do so.

    Derived each time, not kept: a lock that runs out, or a role that is given back, heals it.
    """
    if key.by is None or key.by == key.user:
        return True
    adder = kernel.role_left(connection, key.by)
    return adder is not None and may_server(ServerAction.GOVERN, adder, target=role) is None


# -- commands


def aim(call: Call, connection: Connection, name: str) -> User:
    """Return the account whose keys are to change; raises what keeps the caller from it.

    One's own are one's own to change.
    """
    user, actor = accounts.require_user(connection, name), call.session.user
    role = call.kernel.role_now(connection, actor)
    account_rules.require_over(actor, role, user.id, user.role, own=True)
    return user


def add_key(call: Call, request: messages.AddKey) -> Write[messages.KeyAdded]:
    """Give an account a key; giving it again is harmless, and wakes one that is suspended."""
    key = rules.parse(request.key)
    label = display_clip(request.label.strip(), limits.LABEL_CHARS) or key.comment
    shown = rules.fingerprint(key.digest)
    by = None if call.session.user == LOCAL_OPERATOR else call.session.user

    def change(connection: Connection) -> Done[messages.KeyAdded]:
        user = aim(call, connection, request.name)
        known = tables.key_by_digest(connection, key.digest)
        if known is not None:
            if known.user != user.id:
                names = accounts.names_of(connection, [known.user])
                raise refusals.SshKeyTaken(fingerprint=shown, name=names[known.user], field="$.key")
            if _stands(call.kernel, connection, known, user.role):
                done = f"{user.name} has the key {shown} already"
            else:
                tables.take_over(connection, known.id, by)
                done = f"key {known.id} of {user.name} is not suspended any more: {shown}"
            return Done(messages.KeyAdded(done=done, fingerprint=shown))
        if tables.count_keys(connection, user.id) >= limits.KEYS_PER_USER:
            raise refusals.SshKeysMax(limit=limits.KEYS_PER_USER, name=user.name)
        number = tables.keep_key(
            connection,
            user.id,
            digest=key.digest,
            kind=key.kind,
            label=label,
            by=by,
            now=call.now,
        )
        done = f"added key {number} to {user.name}: {key.kind} {shown}"
        if user.role < ServerRole.MODERATOR:
            done += f" (the shell is for moderators and above; {user.name} is {user.role.word})"
        undo = f"user key remove {user.name} {number}"
        return Done(messages.KeyAdded(done=done, undo=undo, fingerprint=shown))

    return Write(change)


def list_keys(call: Call, request: messages.ListKeys) -> Read[messages.KeyList]:
    """List the keys of everybody, or of one account."""

    def query(connection: Connection) -> messages.KeyList:
        user = accounts.require_user(connection, request.name).id if request.name else None
        found = tables.keys_of(connection, user, request.after, limits.OPERATOR_PAGE + 1)
        page = found[: limits.OPERATOR_PAGE]
        told = [_told(call.kernel, connection, key) for key in page]
        more = len(found) > len(page)
        return messages.KeyList(keys=told, next=page[-1].id if more else None)

    return Read(query)


def _told(kernel: Kernel, connection: Connection, key: KeptKey) -> messages.KeyInfo:
    user = accounts.user_by_id(connection, key.user)
    by = None if key.by is None else accounts.user_by_id(connection, key.by)
    assert user is not None  # a foreign key
    return messages.KeyInfo(
        key=key.id,
        user=user.name,
        fingerprint=rules.fingerprint(key.digest),
        kind=key.kind,
        label=key.label,
        added=key.added,
        used=key.used or 0,
        by="" if by is None else by.name,
        state="ok" if _stands(kernel, connection, key, user.role) else "suspended",
    )


def remove_key(call: Call, request: messages.RemoveKey) -> Write[Outcome]:
    """Take a key away; the doors are told, whose guests by it have to leave."""

    def change(connection: Connection) -> Done[Outcome]:
        user = aim(call, connection, request.name)
        known = tables.keys_of(connection, user.id, 0, limits.KEYS_PER_USER)
        meant = [
            key for key in known if request.key in {str(key.id), rules.fingerprint(key.digest)}
        ]
        if not meant:
            raise refusals.SshKeyUnknown(name=user.name, key=request.key, field="$.key")
        tables.drop_key(connection, meant[0].id)
        done = f"removed key {meant[0].id} of {user.name}: {rules.fingerprint(meant[0].digest)}"
        return Done(Outcome(done=done), lambda _hub: call.kernel.standing_changed(user.id))

    return Write(change)


def make() -> Feature:
    """Build the feature."""
    return Feature(
        name="keys",
        needs=("accounts",),
        handlers={
            messages.ADD_KEY: add_key,
            messages.LIST_KEYS: list_keys,
            messages.REMOVE_KEY: remove_key,
        },
        checkers=(KeyChecker,),
    )
