"""Answers for whose invitations somebody hears of; the rooms feature keeps to it.

Nobody learns of being muted: the answers to an invitation, and what may be asked for, are the same.
"""

from sqlalchemy.engine import Connection

from lairchat.core.call import Call
from lairchat.core.feature import Feature
from lairchat.core.plan import Done, Read, Write
from lairchat.features.accounts import tables as accounts
from lairchat.features.muting import messages, tables
from lairchat.model import limits, refusals
from lairchat.wire.contract import Nothing


def mute(call: Call, request: messages.Mute) -> Write[Nothing]:
    """Hide somebody's invitations; doing it again changes nothing."""
    user = call.session.user

    def change(connection: Connection) -> Done[Nothing]:
        other = accounts.require_user(connection, request.name)
        if other.id == user:
            raise refusals.OnSelf(field="$.name")
        muted = tables.muted_by(connection, user)
        if other.id not in muted:
            if len(muted) >= limits.MUTED_MAX:
                raise refusals.MutedMax(limit=limits.MUTED_MAX)
            tables.mute(connection, user, other.id, call.now)
        return Done(Nothing())

    return Write(change)


def unmute(call: Call, request: messages.Unmute) -> Write[Nothing]:
    """Show somebody's invitations again."""
    user = call.session.user

    def change(connection: Connection) -> Done[Nothing]:
        other = accounts.require_user(connection, request.name)
        tables.unmute(connection, user, other.id)
        return Done(Nothing())

    return Write(change)


def list_muted(call: Call, _request: messages.ListMuted) -> Read[messages.Muted]:
    """List whose invitations are hidden."""
    user = call.session.user

    def query(connection: Connection) -> messages.Muted:
        names = accounts.names_of(connection, tables.muted_by(connection, user))
        return messages.Muted(names=sorted(names.values(), key=str.lower))

    return Read(query)


def make() -> Feature:
    """Build the feature."""
    return Feature(
        name="muting",
        needs=("accounts",),
        handlers={
            messages.MUTE: mute,
            messages.UNMUTE: unmute,
            messages.MUTED: list_muted,
        },
    )
