"""Every way in which Lair Chat says no, one class each; the class is the code on the wire.

A refusal is an expected outcome, not a fault of the program: a handler raises it before its first
write, the wire carries its code and sentence, the client shows the same sentence.
:data:`REFUSALS` lists all classes by code; documents and tests are made from it.
The sentences follow one form: what failed, the value, why, and the next step, in at most two lines
of 80 characters, the code included.
What concerns the local program only (network, TLS, profile, server start) is in
:mod:`lairchat.model.faults`, with the same registry.
"""

from lairchat.model import faults, limits
from lairchat.model.refusal import REFUSALS, Refusal, describe_wait, received, sample_of

__all__ = [
    "REFUSALS",
    "AddressBanned",
    "AlreadyMember",
    "AuthBanned",
    "AuthBusy",
    "AuthDelay",
    "AuthFailed",
    "AuthLocked",
    "AuthReused",
    "AuthToken",
    "BackupDamaged",
    "BackupExists",
    "BackupFailed",
    "BackupName",
    "BackupUnknown",
    "BanOwn",
    "BanRank",
    "BanUnknown",
    "Banned",
    "BansMax",
    "BlobDigest",
    "BlobOffset",
    "BlobQuota",
    "BlobSize",
    "BlobUnknown",
    "Busy",
    "CliAsks",
    "CliFilter",
    "CliLong",
    "CliQuote",
    "CliRows",
    "CliTerminal",
    "CliText",
    "CliUnknown",
    "CliUsage",
    "CodeTaken",
    "CodeUnknown",
    "CodesMax",
    "CursorBad",
    "DatabaseDamaged",
    "Denied",
    "DeviceGone",
    "DeviceProof",
    "DeviceUnknown",
    "DeviceUnproven",
    "DiskRoom",
    "EpochStale",
    "GroupBlob",
    "GroupExists",
    "GroupLease",
    "GroupLog",
    "GroupMissing",
    "GroupProposals",
    "GroupRefused",
    "GroupRemoves",
    "GroupTree",
    "GroupUninvited",
    "HttpHost",
    "HttpMethod",
    "HttpPath",
    "HttpSize",
    "HttpSlow",
    "HttpSyntax",
    "HttpTooOften",
    "HttpVersion",
    "IdConflict",
    "IdFuture",
    "IdOld",
    "IdentitiesMax",
    "IdentityBad",
    "IdentitySoon",
    "IdentityUnknown",
    "InboxAway",
    "InboxEnd",
    "InboxFull",
    "InboxStranger",
    "Internal",
    "InviteBad",
    "InviteName",
    "InviteUnknown",
    "InvitedEnough",
    "KeepsakeStale",
    "KeepsakeUnknown",
    "KeepsakesFull",
    "KeyPackageBad",
    "KeyPackagesMax",
    "KeyUnknown",
    "KeysLater",
    "KindRefused",
    "KnocksMax",
    "LabelBad",
    "LastAdministrator",
    "LastOwner",
    "LogStale",
    "Maintenance",
    "ManholeOff",
    "MessageGone",
    "MutedMax",
    "NameBad",
    "NameRefused",
    "NameReserved",
    "NameTaken",
    "NetworkBad",
    "NoDaemon",
    "NotMember",
    "OnOwnAccount",
    "OnSelf",
    "RateLimited",
    "Refusal",
    "RegistrationClosed",
    "ReportUnknown",
    "ReportUnproven",
    "ReportsMax",
    "RestoreOver",
    "RestoreRunning",
    "RoomArchived",
    "RoomCrypto",
    "RoomDirect",
    "RoomEncrypted",
    "RoomFollowed",
    "RoomFull",
    "RoomKept",
    "RoomLegacy",
    "RoomNameBad",
    "RoomNameUnknown",
    "RoomPlain",
    "RoomReadOnly",
    "RoomTaken",
    "RoomUnencrypted",
    "RoomUnknown",
    "RoomsMax",
    "SessionUnknown",
    "ShuttingDown",
    "SshEnded",
    "SshKeyBad",
    "SshKeySuspended",
    "SshKeyTaken",
    "SshKeyUnknown",
    "SshKeysMax",
    "StoreBroken",
    "StoreBusy",
    "StoreFull",
    "StoreReadOnly",
    "TextBad",
    "TextEmpty",
    "TextLong",
    "TimedOut",
    "TooManyConnections",
    "TooManyOwn",
    "TopicBad",
    "UserUnknown",
    "describe_wait",
    "faults",
    "received",
]

# -- logging in and accounts ---------------------------------------------------------------------


class AuthFailed(Refusal):
    """Name or password is wrong; the same for names that do not exist."""

    code = "LC-AUTH-FAILED"
    text = (
        "name or password is wrong (try {attempt} of {limit} before delays begin). "
        "Forgot it? Ask an admin for: user reset-password {name}"
    )
    sample = sample_of(attempt=3, limit=5, name="alice")


class AuthToken(Refusal):
    """The session or resume token is unknown: ended, expired or never given out."""

    code = "LC-AUTH-TOKEN"
    text = "the session of this device has ended. Log in again with name and password."


class AuthReused(Refusal):
    """A resume token came twice: somebody has a copy of the profile."""

    code = "LC-AUTH-REUSED"
    text = (
        "a copy of this session's token was used, so the session was ended. Log in again, "
        "then log out everywhere else if the copy is not yours."
    )


class AuthDelay(Refusal):
    """Too many failed logins for this account and address."""

    code = "LC-AUTH-DELAY"
    text = (
        "too many failed logins for this name. Try again in {wait}; "
        "devices that are already logged in are not held up."
    )


class AuthBusy(Refusal):
    """The queue in front of the password hash is full."""

    code = "LC-AUTH-BUSY"
    text = "many people are logging in at this moment. Try again in {wait}."


class AuthLocked(Refusal):
    """The account was locked by an administrator."""

    code = "LC-AUTH-LOCKED"
    text = "the account {name} is locked{how}. Ask an admin of this server for: user unlock {name}"
    sample = sample_of(name="alice", how=" until 2026-11-23 14:06 UTC (spam)")


class AuthBanned(Refusal):
    """The account was banned from the whole server."""

    code = "LC-AUTH-BANNED"
    text = "the account {name} is banned here{how}. Ask an admin for: ban remove user {name}"
    sample = sample_of(name="alice", how=" until 2026-11-23 14:06 UTC (spam)")


class NameRefused(Refusal):
    """Groups the refusals of a user name."""


class NameBad(NameRefused):
    """The user name breaks the rules of names."""

    code = "LC-NAME-BAD"
    text = 'the name "{name}" cannot be used: {why}. Try one like: alice_2'
    sample = sample_of(name="al", why="it has fewer than 3 characters")


class NameTaken(NameRefused):
    """The user name is somebody else's, or looks like it."""

    code = "LC-NAME-TAKEN"
    text = (
        'the name "{name}" is taken, or looks like one that is. '
        "If it is yours, log in; otherwise try another."
    )
    sample = sample_of(name="alice")


class NameReserved(NameRefused):
    """The user name reads like a part of the server."""

    code = "LC-NAME-RESERVED"
    text = 'the name "{name}" is kept back: it reads like a part of the server. Try another.'
    sample = sample_of(name="adm1n")


class RegistrationClosed(Refusal):
    """The server makes no new accounts."""

    code = "LC-REG-CLOSED"
    text = (
        "this server is not taking new accounts. "
        "Log in if you have one; otherwise ask its operator for an invite link."
    )


class InviteBad(Refusal):
    """The invite code is unknown, used up or expired; which one is not told to guessers."""

    code = "LC-INVITE-BAD"
    text = (
        "this invite does not work: it is unknown, used up or expired. "
        "Ask the person who sent it for a new link."
    )


class InviteName(Refusal):
    """The invite was made for another name."""

    code = "LC-INVITE-NAME"
    text = 'this invite is for "{name}" alone. Take that name, or ask for a link of your own.'
    sample = sample_of(name="alice")


class UserUnknown(Refusal):
    """There is no account of this name."""

    code = "LC-USER-UNKNOWN"
    text = 'there is no account called "{name}" here. Check the spelling; Tab completes names.'
    sample = sample_of(name="alcie")


class DeviceUnknown(Refusal):
    """There is no such device or session of this account, or more than one."""

    code = "LC-DEVICE-UNKNOWN"
    text = (
        "there is no such device among yours, or several are called so. Take its id from the list of"
        " your devices: /devices"
    )


class LabelBad(Refusal):
    """A device label breaks the rules of labels."""

    code = "LC-LABEL-BAD"
    text = f"a device label is one line of 1 to {limits.LABEL_CHARS} characters. Choose another."


# -- rooms ---------------------------------------------------------------------------------------


class RoomUnknown(Refusal):
    """There is no such room, or it is private and the caller is not in it: the same answer."""

    code = "LC-ROOM-UNKNOWN"
    text = (
        "there is no such room, or it is private. "
        "Check the name with /join and Tab, or ask somebody in it for an invite."
    )


class RoomNameBad(Refusal):
    """The room name breaks the rules of room names."""

    code = "LC-ROOM-NAME"
    text = 'the room name "{name}" cannot be used: {why}. Try one like: ops-2'
    sample = sample_of(name="Ops Room", why="only a-z, 0-9, _, - and . are possible")


class RoomTaken(Refusal):
    """There is a room of this name already."""

    code = "LC-ROOM-TAKEN"
    text = 'there is a room "{name}" already. Join it with /join {name}, or take another name.'
    sample = sample_of(name="ops")


class RoomFull(Refusal):
    """The room holds as many members as it can."""

    code = "LC-ROOM-FULL"
    text = "the room is full: {limit} members. Try later, or open another one: /new NAME"
    sample = sample_of(limit=limits.ROOM_MEMBERS)


class RoomsMax(Refusal):
    """The member is in as many rooms as one can be."""

    code = "LC-ROOMS-MAX"
    text = "{limit} joined rooms is the most for one account. Leave one first: /leave"
    sample = sample_of(limit=limits.ROOMS_JOINED)


class RoomReadOnly(Refusal):
    """The caller's role may read the room but not write in it."""

    code = "LC-ROOM-READONLY"
    text = "your role lets you read in this room but not write. Ask a moderator for a higher one."


class RoomArchived(Refusal):
    """An operator has put the room away: it can be read, and left."""

    code = "LC-ROOM-ARCHIVED"
    text = "this room is archived: it can be read, and nobody writes in it. Open another: /new NAME"


class RoomDirect(Refusal):
    """The action makes no sense between exactly two people."""

    code = "LC-ROOM-DIRECT"
    text = "this is not possible in a direct conversation. Open a room for it: /new NAME"


class RoomCrypto(Refusal):
    """The server does not offer this kind of encryption for rooms."""

    code = "LC-ROOM-CRYPTO"
    text = 'this server has no rooms of the kind "{kind}". Try: /new NAME'
    sample = sample_of(kind="mls")


class NotMember(Refusal):
    """The caller, or the person named, is not in the room."""

    code = "LC-NOT-MEMBER"
    text = "only members of the room can do this or be named in it. Join first: /join NAME"


class AlreadyMember(Refusal):
    """The person named is in the room already."""

    code = "LC-MEMBER-ALREADY"
    text = "that person is in this room already. See who is here: /members"


class Banned(Refusal):
    """The person is banned from the room."""

    code = "LC-BANNED"
    text = "there is a ban for this room. Ask one of its moderators to lift it."


class BansMax(Refusal):
    """The room keeps as many people out as it can."""

    code = "LC-BANS-MAX"
    text = "{limit} bans is the most for one room. Lift one that is no longer needed: /unban NAME"
    sample = sample_of(limit=limits.BANS_PER_ROOM)


class Denied(Refusal):
    """The caller's role is too low for the action, or for the person it is aimed at."""

    code = "LC-DENIED"
    text = (
        "your role does not allow this. "
        "Ask somebody with a higher role to do it, or to raise yours."
    )


class LastOwner(Refusal):
    """The room, or the server, would be left without an owner."""

    code = "LC-LAST-OWNER"
    text = "this would leave nobody as owner. Make somebody else owner first, then try again."


class OnSelf(Refusal):
    """The action is for other people only."""

    code = "LC-SELF"
    text = "this cannot be done to oneself. Name somebody else, or leave the room with /leave"


class OnOwnAccount(Refusal):
    """An operator's command would act on the operator's own account."""

    code = "LC-OWN-ACCOUNT"
    text = (
        "this cannot be done to one's own account. "
        "Ask another administrator, or use lairctl on the host."
    )


class TopicBad(Refusal):
    """A topic breaks the rules of topics."""

    code = "LC-TOPIC-BAD"
    text = (
        f"a topic is one line of at most {limits.TOPIC_CHARS} characters. "
        "Shorten it and set it again: /topic TEXT"
    )


# -- messages and the log ------------------------------------------------------------------------


class TextLong(Refusal):
    """The message has too many characters."""

    code = "LC-TEXT-LONG"
    text = "the message has {size} characters; {limit} is the most. Send it in parts."
    sample = sample_of(size=5120, limit=limits.MESSAGE_CHARS)


class TextEmpty(Refusal):
    """The message holds nothing."""

    code = "LC-TEXT-EMPTY"
    text = "an empty message was not sent. Type some text first."


class TextBad(Refusal):
    """The message holds characters that no message may hold."""

    code = "LC-TEXT-BAD"
    text = "the message holds control characters (such as NUL). Remove them, then send again."


class IdOld(Refusal):
    """The command id is older than the answers that are kept."""

    code = "LC-ID-OLD"
    text = (
        "this was written over 7 days ago, so nobody knows if it was done before. "
        "Look at the history, then send it as new."
    )


class IdFuture(Refusal):
    """The command id lies too far in the future."""

    code = "LC-ID-FUTURE"
    text = "this is dated over an hour ahead. Check this device's clock, then try again."


class IdConflict(Refusal):
    """The command id was used for another command."""

    code = "LC-ID-CONFLICT"
    text = "the id of this command was used for another one. Try again; it gets a new id."


class KindRefused(Refusal):
    """The event class is not one that clients may send here."""

    code = "LC-KIND"
    text = "this kind of event is not for clients to send here. Check for a newer client."


class CursorBad(Refusal):
    """A sequence number lies outside the room's log."""

    code = "LC-CURSOR-BAD"
    text = "this position is outside the room's history. Try again after /reconnect"


# -- accounts' logs, key packages, inboxes ---------------------------------------------------------


class IdentityUnknown(Refusal):
    """The account has published no log, so nobody can talk to it encrypted."""

    code = "LC-IDENTITY-UNKNOWN"
    text = "this account has no keys for encrypted conversations yet. Ask them to open lair once."


class IdentityBad(Refusal):
    """A log, or an entry of one, is not what it should be."""

    code = "LC-IDENTITY-BAD"
    text = "this is no log of your account: {why}. Look at what is wrong with: lair doctor"
    sample = sample_of(why="this log belongs to an account of another name")


class LogStale(Refusal):
    """Another device has appended to the account's log meanwhile."""

    code = "LC-LOG-STALE"
    text = "the log of your account is at entry {position} by now. Look at it, then sign anew."
    sample = sample_of(position=5)


class IdentitySoon(Refusal):
    """An account begins a log again too early."""

    code = "LC-IDENTITY-SOON"
    text = "an identity can be begun anew once a day. Try again in {wait}, or use the one you have."


class IdentitiesMax(Refusal):
    """The account has begun as many logs as one may."""

    code = "LC-IDENTITIES-MAX"
    text = "{limit} identities is the most for one account. Ask an admin for another account."
    sample = sample_of(limit=limits.LOGS_PER_USER)


class DeviceProof(Refusal):
    """A proof was made with another key, or for another session."""

    code = "LC-DEVICE-PROOF"
    text = "this does not prove that you are that device. Start lair anew, or link this device."


class DeviceUnproven(Refusal):
    """The session is no certified device, or has not proven to be one."""

    code = "LC-DEVICE-UNPROVEN"
    text = "this session is no device that your account has certified. Start lair anew, or link it."


class DeviceGone(Refusal):
    """A device is none of the account's, or has been revoked."""

    code = "LC-DEVICE-GONE"
    text = "that is no device of the account, or no more. Look at the account's log, and try again."


class KeyPackageBad(Refusal):
    """A key package is not one that somebody could be added with."""

    code = "LC-KEYS-BAD"
    text = "key package {number} cannot be used: {why}. Make it anew."
    sample = sample_of(number=3, why="it is for another version or cipher suite")


class KeyPackagesMax(Refusal):
    """As many key packages wait for the device as may."""

    code = "LC-KEYS-MAX"
    text = "{limit} key packages is the most for one device. Keep yours until some are used."
    sample = sample_of(limit=limits.KEY_PACKAGES)


class KeysLater(Refusal):
    """Key packages are asked for so fast that it could be to use them up."""

    code = "LC-KEYS-LATER"
    text = "too many keys were asked for at once. Try again in {wait}."


class InboxEnd(Refusal):
    """An acknowledgement names an entry that has not come yet."""

    code = "LC-INBOX-END"
    text = "your inbox ends at entry {head}. Take what there is up to that first."
    sample = sample_of(head=4)


class InboxFull(Refusal):
    """A device has as many welcomes waiting as an inbox holds."""

    code = "LC-INBOX-FULL"
    text = (
        "a device has too many welcomes waiting. Ask its owner to open lair there, then try again."
    )


class InboxStranger(Refusal):
    """A note for somebody with whom the caller has no private conversation."""

    code = "LC-INBOX-STRANGER"
    text = "this goes to people in a conversation with you only. Start one first: /msg NAME"


class InboxAway(Refusal):
    """A note for a device that is not connected, and has no inbox yet."""

    code = "LC-INBOX-AWAY"
    text = "that device is not connected now. Open lair on it and start again."


# -- load and faults of the server ---------------------------------------------------------------


class RateLimited(Refusal):
    """The member sends faster than the limits in force."""

    code = "LC-RATE"
    text = "sending too fast: this was not stored. Try again in {wait}."


class Busy(Refusal):
    """The server has more work than it takes on."""

    code = "LC-BUSY"
    text = "the server is overloaded, and this was not stored. Try again in {wait}."


class TooManyConnections(Refusal):
    """The address holds, or made, too many connections that never log in."""

    code = "LC-CONNECTIONS"
    text = "too many connections from this address. Close some, or try again in {wait}."


class TooManyOwn(Refusal):
    """The account has more live connections than one may have; the oldest is closed."""

    code = "LC-CONNECTIONS-OWN"
    text = (
        "too many connections of your account: the oldest was closed. Close some, then: /reconnect"
    )


class TimedOut(Refusal):
    """A deadline of the connection passed: handshake, login or silence."""

    code = "LC-TIMEOUT"
    text = "the server waited too long for this connection and closed it. Try: /reconnect"


class StoreFull(Refusal):
    """The server's disk is full; nothing was stored, nothing acknowledged is lost."""

    code = "LC-STORE-FULL"
    text = (
        "the server's disk is full, so this was not stored. Try again when its operator freed some."
    )


class StoreReadOnly(Refusal):
    """The server's database cannot be written."""

    code = "LC-STORE-READONLY"
    text = (
        "the server's database is read-only, so this was not stored. "
        "Try again when its operator has mended that."
    )


class StoreBusy(Refusal):
    """Another program holds the server's database."""

    code = "LC-STORE-BUSY"
    text = "another program holds the server's database; this was not stored. Try again in {wait}."


class StoreBroken(Refusal):
    """The server's database or disk is damaged: it stops rather than guess."""

    code = "LC-STORE-BROKEN"
    text = (
        "the server's database or disk is damaged; this was not stored. "
        "Tell its operator, who can run: lairctl db check"
    )


class ShuttingDown(Refusal):
    """The server stops in order."""

    code = "LC-SHUTDOWN"
    text = "the server is stopping; what it confirmed is kept. Try again in {wait}."


class Internal(Refusal):
    """Something unexpected failed; the log has the details under the same id."""

    code = "LC-INTERNAL"
    text = (
        "something unexpected went wrong in the server. "
        "Try again; if it stays, its operator finds it in the log as {incident}"
    )
    sample = sample_of(incident="7F2A910C")


# -- HTTP ----------------------------------------------------------------------------------------


class HttpSyntax(Refusal):
    """What arrived is not one HTTP request in the only way in which it can be read."""

    code = "LC-HTTP-SYNTAX"
    text = "this is not a request that HTTP allows: {why}. Send one as RFC 9112 has it."
    sample = sample_of(why="a header goes on in a second line")


class HttpVersion(Refusal):
    """A version of HTTP that is not spoken here."""

    code = "LC-HTTP-VERSION"
    text = "the version {version} is not spoken here. Try HTTP/1.1, or HTTP/2 over TLS."
    sample = sample_of(version="HTTP/0.9")


class HttpHost(Refusal):
    """The Host header names another server: a mistake, or a page that rebinds a DNS name."""

    code = "LC-HTTP-HOST"
    text = 'this server is not "{host}". Try its own name, or put this one into hosts of [http].'
    sample = sample_of(host="rebound.example")


class HttpMethod(Refusal):
    """A method that nothing here answers to."""

    code = "LC-HTTP-METHOD"
    text = "the method {method} does nothing here. Send GET or HEAD."
    sample = sample_of(method="TRACE")


class HttpPath(Refusal):
    """There is no such page."""

    code = "LC-HTTP-PATH"
    text = 'there is no page "{path}". See / for what there is.'
    sample = sample_of(path="/wp-login.php")


class HttpSize(Refusal):
    """The body of a request is larger than anything that is expected here."""

    code = "LC-HTTP-SIZE"
    text = "the body of this request is larger than {limit} bytes. Send less."
    sample = sample_of(limit="65,536")


class HttpSlow(Refusal):
    """A request was not complete in time; dripping bytes does not prolong that."""

    code = "LC-HTTP-SLOW"
    text = "this request was not complete after {seconds} s. Send it at once."
    sample = sample_of(seconds="10")


class HttpTooOften(Refusal):
    """An address asks more often than the limits in force."""

    code = "LC-HTTP-RATE"
    text = "too many requests from this address. Try again in {wait}."


# -- bulk transfer -------------------------------------------------------------------------------


class BlobUnknown(Refusal):
    """There is no such transfer, or not for this account."""

    code = "LC-BLOB-UNKNOWN"
    text = "there is no such transfer, or it was given up. Start it again."


class BlobOffset(Refusal):
    """A chunk does not continue where the last one ended."""

    code = "LC-BLOB-OFFSET"
    text = "the transfer stands at byte {expected}, not {offset}. Resume it from there."
    sample = sample_of(expected=49152, offset=98304)


class BlobDigest(Refusal):
    """The bytes do not have the digest that was announced."""

    code = "LC-BLOB-DIGEST"
    text = "what arrived differs from what was sent (SHA-256). Start the transfer again."


class BlobSize(Refusal):
    """The thing is larger than the most that is transferred."""

    code = "LC-BLOB-SIZE"
    text = "{size} bytes is too large; {limit} is the most. Send something smaller."
    sample = sample_of(size=20000000, limit=limits.BLOB_BYTES)


class BlobQuota(Refusal):
    """The account would keep more on the server than it may."""

    code = "LC-BLOB-QUOTA"
    text = "only {left} bytes of your {limit} are left. Delete something first, then try again."
    sample = sample_of(left=1024, limit=limits.BLOB_QUOTA_BYTES)


# -- backup of encrypted rooms ---------------------------------------------------------------------


class KeepsakeUnknown(Refusal):
    """The account has no sealed object of this name."""

    code = "LC-KEPT-UNKNOWN"
    text = "this part of your backup is not on the server. Look at the backup again."


class KeepsakeStale(Refusal):
    """Another device of the account has replaced the object meanwhile."""

    code = "LC-KEPT-STALE"
    text = "another device of yours has changed the backup. Look at it again, then go on."


class KeepsakesFull(Refusal):
    """The account would keep more sealed objects than it may."""

    code = "LC-KEPT-FULL"
    text = (
        "your backup is full: {limit} bytes is the most. Delete old messages, or keep what is new on"
        " this device alone."
    )
    sample = sample_of(limit=limits.KEEPSAKE_QUOTA_BYTES)


# -- operators -----------------------------------------------------------------------------------


class Maintenance(Refusal):
    """An operator has closed the chat for a while."""

    code = "LC-MAINTENANCE"
    text = "the server is closed for maintenance{reason}. Nothing is lost. Try again in {wait}."
    sample = sample_of(reason=": a new disk, done by 14:00")


class NoDaemon(Refusal):
    """The command acts on a running server, and there is none."""

    code = "LC-NO-DAEMON"
    text = "this needs a running server, and none runs here. Start it first: twistd lairchat"


class KeyUnknown(Refusal):
    """The configuration has no such key."""

    code = "LC-KEY-UNKNOWN"
    text = 'the configuration has no key "{key}". Did you mean {near}? See all: config show'
    sample = sample_of(key="limits.mesage_burst", near="limits.message_burst")


class BackupUnknown(Refusal):
    """There is no such backup."""

    code = "LC-BACKUP-UNKNOWN"
    text = "there is no backup {name}. See those there are: backup list"
    sample = sample_of(name="20261122T030000Z")


class BackupExists(Refusal):
    """The name of the backup is taken."""

    code = "LC-BACKUP-EXISTS"
    text = "there is a backup {name} already, and none is written over. Choose another name."
    sample = sample_of(name="20261122T030000Z")


class BackupName(Refusal):
    """The name cannot be one of a backup."""

    code = "LC-BACKUP-NAME"
    text = (
        'the backup name "{name}" cannot be used. '
        "Take letters, digits, dots and dashes, or leave it out."
    )
    sample = sample_of(name="../lair.db")


class BackupDamaged(Refusal):
    """The backup is not what was backed up."""

    code = "LC-BACKUP-DAMAGED"
    text = "the backup {name} is damaged: {why}. Try another one: backup list"
    sample = sample_of(name="20261122T030000Z", why="database.sqlite: its SHA-256 differs")


class BackupFailed(Refusal):
    """The backup could not be made or put back."""

    code = "LC-BACKUP-FAILED"
    text = "{what} did not work: {why}. Nothing was changed. See: db check"
    sample = sample_of(what="the backup", why="lair.db cannot be read")


class DiskRoom(Refusal):
    """The disk has not the room that is needed."""

    code = "LC-DISK-ROOM"
    text = "this needs {needed} and the disk has {free} free. Free some, then try again: df -h"
    sample = sample_of(needed="41 MB", free="12 MB")


class RestoreRunning(Refusal):
    """A backup cannot be put back under a running server."""

    code = "LC-RESTORE-RUNNING"
    text = (
        "the server uses this database. Stop it first: server shutdown; "
        "then: lairctl backup restore {name}"
    )
    sample = sample_of(name="20261122T030000Z")


class RestoreOver(Refusal):
    """There is a database where the backup is to be put."""

    code = "LC-RESTORE-OVER"
    text = "{path} is there. Move it aside and restore with: backup restore {name} --replace"
    sample = sample_of(path="lair.db", name="20261122T030000Z")


class DatabaseDamaged(Refusal):
    """The database does not hold together."""

    code = "LC-DB-DAMAGED"
    text = "the database has {count} problems; first: {first}. See: db check --list, backup list"
    sample = sample_of(count=3, first="room 7: the log is not what was stored, from event 12")


# -- command lines of operators -------------------------------------------------------------------


class CliUnknown(Refusal):
    """No command of operators begins with these words."""

    code = "LC-CLI-UNKNOWN"
    text = 'there is no command "{words}". {advice}'
    sample = sample_of(words="user lsit", advice='Did you mean "user list"? See: help')


class CliUsage(Refusal):
    """The command is known, but not with these arguments."""

    code = "LC-CLI-USAGE"
    text = "{command}: {why}. See: help {command}"
    sample = sample_of(command="user lock", why="NAME is missing")


class CliQuote(Refusal):
    """A command line ends inside of a quotation."""

    code = "LC-CLI-QUOTE"
    text = "the line ends after an open {quote} . Close the quotation, or put \\ before the {quote}"
    sample = sample_of(quote="'")


class CliFilter(Refusal):
    """What stands behind | is not one of the filters."""

    code = "LC-CLI-FILTER"
    text = 'there is no filter "{word}". Take one of: json, csv, count, grep TEXT, head N'
    sample = sample_of(word="gerp bob")


class CliAsks(Refusal):
    """A command asks before it acts, where nobody can answer."""

    code = "LC-CLI-ASKS"
    text = (
        "this asks before it acts, and here nobody can answer. "
        "Look at what it would do with --dry-run, then add --yes"
    )


class CliRows(Refusal):
    """An answer has more rows than are collected for one line."""

    code = "LC-CLI-ROWS"
    text = "there are more than {limit} rows. Take the first ones with: | head N"
    sample = sample_of(limit=limits.OPERATOR_ROWS)


class CliLong(Refusal):
    """A command line is longer than any that makes sense."""

    code = "LC-CLI-LONG"
    text = "the line has {size} characters; {limit} is the most. Shorten it, then try again."
    sample = sample_of(size=20000, limit=limits.OPERATOR_LINE_CHARS)


class AddressBanned(Refusal):
    """The address, or the network that it is in, was banned from the whole server."""

    code = "LC-ADDRESS-BANNED"
    text = "nobody is let in from this address{how}. Ask the operator of this server why."
    sample = sample_of(how=" until 2026-11-23 14:06 UTC")


class BanUnknown(Refusal):
    """Nobody is banned from the server under this name or address."""

    code = "LC-BAN-UNKNOWN"
    text = "there is no ban of {target}. See those there are: ban list"
    sample = sample_of(target="203.0.113.7")


class BanOwn(Refusal):
    """The ban would shut out whoever asks for it."""

    code = "LC-BAN-OWN"
    text = (
        "{network} holds an address of your own, or of the server's machine. "
        "Name a smaller network, or use lairctl on the host."
    )
    sample = sample_of(network="203.0.113.0/24")


class BanRank(Refusal):
    """The ban would shut out somebody whom the caller may not ban."""

    code = "LC-BAN-RANK"
    text = (
        "{name} is connected from {network}, and is not below you in rank. "
        "Name a smaller network, or ask an owner."
    )
    sample = sample_of(name="alice", network="203.0.113.0/24")


class NetworkBad(Refusal):
    """What should be an address or a network is none."""

    code = "LC-NETWORK-BAD"
    text = '"{text}" is no {kind}: {why}. Try one like: {like}'
    sample = sample_of(
        text="203.0.113.7/24", kind="network", why="it has host bits set", like="203.0.113.0/24"
    )


class SshKeyBad(Refusal):
    """The text is no public key, or not one of a kind that lets people in."""

    code = "LC-SSH-KEY-BAD"
    text = "this is no key for the shell: {why}. Take the line that ~/.ssh/id_ed25519.pub holds."
    sample = sample_of(why="ssh-dss keys are too weak")


class SshKeySuspended(Refusal):
    """Whoever added the key to the account may not do so any more."""

    code = "LC-SSH-KEY-SUSPENDED"
    text = (
        "this key is suspended: who added it to {name} may not do that any more. "
        "Ask somebody who may to add it again: user key add {name} FILE"
    )
    sample = sample_of(name="alice")


class SshKeyTaken(Refusal):
    """The key lets somebody in already."""

    code = "LC-SSH-KEY-TAKEN"
    text = "the key {fingerprint} is {name}'s already. See it with: user key list {name}"
    sample = sample_of(
        fingerprint="SHA256:q1kGXdNPyV2JYYyCmVW0ZQbrAb8bMEvKLfZ2uC7LBqw", name="alice"
    )


class SshKeyUnknown(Refusal):
    """The account has no such key."""

    code = "LC-SSH-KEY-UNKNOWN"
    text = "{name} has no key {key}. See those there are: user key list {name}"
    sample = sample_of(name="alice", key="7")


class SshKeysMax(Refusal):
    """The account has as many keys as one may have."""

    code = "LC-SSH-KEYS-MAX"
    text = "{limit} keys is the most for one account. Remove one first: user key remove {name} KEY"
    sample = sample_of(limit=limits.KEYS_PER_USER, name="alice")


class SessionUnknown(Refusal):
    """There is no such session."""

    code = "LC-SESSION-UNKNOWN"
    text = "there is no session {session}. See those there are: session list"
    sample = sample_of(session=12)


class InviteUnknown(Refusal):
    """There is no such invite, or it does not work any more."""

    code = "LC-INVITE-UNKNOWN"
    text = "there is no invite {invite} that still works. See those there are: invite list"
    sample = sample_of(invite=12)


class MutedMax(Refusal):
    """The caller hides the invitations of as many people as one can."""

    code = "LC-MUTED-MAX"
    text = "{limit} people is the most. Take somebody off the list first: /invites NAME on"
    sample = sample_of(limit=limits.MUTED_MAX)


class InvitedEnough(Refusal):
    """The caller has invited this person so often that it could be to annoy."""

    code = "LC-INVITED-ENOUGH"
    text = "{name} has enough invitations of yours for now. Ask in words first: /msg {name}"
    sample = sample_of(name="bob")


class RoomNameUnknown(Refusal):
    """There is no room of this name on the server."""

    code = "LC-ROOM-NAME-UNKNOWN"
    text = 'there is no room called "{name}". See those there are: room list'
    sample = sample_of(name="atic")


class RoomKept(Refusal):
    """The room belongs to the server and cannot be put away."""

    code = "LC-ROOM-KEPT"
    text = "#{name} is the server's own room and stays as it is. See the others: room list"
    sample = sample_of(name="lobby")


class CliText(Refusal):
    """A command line is not UTF-8."""

    code = "LC-CLI-TEXT"
    text = "the line is not UTF-8 at byte {place}. Try again from a terminal that is set to UTF-8."
    sample = sample_of(place=12)


class CliTerminal(Refusal):
    """A command needs a terminal, and there is none."""

    code = "LC-CLI-TERMINAL"
    text = "{command} needs a terminal, and there is none. Try: ssh -t ... {command}"
    sample = sample_of(command="manhole")


# -- the shell over SSH ----------------------------------------------------------------------------


class ManholeOff(Refusal):
    """The Python prompt is not allowed by the configuration."""

    code = "LC-MANHOLE-OFF"
    text = "the Python prompt is off. Change manhole to true in [ssh], then: config reload"


class SshEnded(Refusal):
    """Whoever is in the shell may not be any more: key, lock or role were changed."""

    code = "LC-SSH-ENDED"
    text = "this session has ended: its key, the account or the role was changed. Log in again."


# -- encrypted rooms -------------------------------------------------------------------------------


class RoomEncrypted(Refusal):
    """The room is end-to-end encrypted: what was asked is its members' devices' to do."""

    code = "LC-ROOM-ENCRYPTED"
    text = "this room is end-to-end encrypted: only its members' devices do that. Open it in lair."


class RoomPlain(Refusal):
    """The room is not encrypted, and what came for it is."""

    code = "LC-ROOM-PLAIN"
    text = (
        "this room is not encrypted, and what came for it is. Look at its label, then send again."
    )


class RoomUnencrypted(Refusal):
    """A private room or a direct conversation was to be made that the server could read."""

    code = "LC-ROOM-UNENCRYPTED"
    text = (
        "private rooms and direct conversations are encrypted, and this client asked for plain ones. "
        "Run a current lair."
    )


class RoomLegacy(Refusal):
    """The conversation is private and from before encryption: it is read and left."""

    code = "LC-ROOM-LEGACY"
    text = (
        "this conversation is from before encryption, and read only. "
        "Open its encrypted successor: /succeed"
    )


class RoomFollowed(Refusal):
    """The direct conversation was held for good, and another one has come in its place."""

    code = "LC-ROOM-FOLLOWED"
    text = (
        "this conversation is over, and read only: it goes on in another one. Open that: /msg NAME"
    )


class GroupMissing(Refusal):
    """Nobody has founded the room's group yet."""

    code = "LC-GROUP-MISSING"
    text = "no device has set up the encryption of this room yet. Open it in lair, which does."


class GroupExists(Refusal):
    """The room's group has been founded, or another has its id."""

    code = "LC-GROUP-EXISTS"
    text = "the encryption of this room is set up already. Take the welcome that comes."


class EpochStale(Refusal):
    """What was sent belongs to another epoch than the room is in."""

    code = "LC-EPOCH-STALE"
    text = "the room's keys have changed: it is in epoch {epoch}. Send it again under those."
    sample = sample_of(epoch=12)


class GroupRefused(Refusal):
    """A handshake breaks a rule of MLS or of the room's policy."""

    code = "LC-GROUP-REFUSED"
    text = "the room's keys do not change so: {why}. Ask for: lair doctor"
    sample = sample_of(why="this member may not add people")


class GroupRemoves(Refusal):
    """A commit lacks removals that wait."""

    code = "LC-GROUP-REMOVES"
    text = "removals wait in this room ({count}). Take them into the commit."
    sample = sample_of(count=2)


class GroupLog(Refusal):
    """A handshake names a place in an account's log that the server does not have."""

    code = "LC-GROUP-LOG"
    text = "an account's log is needed here up to entry {position}. Send its entries first."
    sample = sample_of(position=4)


class GroupLease(Refusal):
    """Another device is about to commit."""

    code = "LC-GROUP-LEASE"
    text = "another device is about to change the room's keys. Try again in {wait}."


class GroupTree(Refusal):
    """There is no tree of this epoch here, or no more."""

    code = "LC-GROUP-TREE"
    text = "the room's tree of epoch {epoch} is not kept. Join by the newest one."
    sample = sample_of(epoch=12)


class GroupBlob(Refusal):
    """A large commit or welcome is not here as a blob, or is too large."""

    code = "LC-GROUP-BLOB"
    text = "the blob of this commit is not complete, or over {limit} bytes. Send it anew."
    sample = sample_of(limit=limits.COMMIT_BYTES)


class GroupProposals(Refusal):
    """As many proposals wait for a commit as may."""

    code = "LC-GROUP-PROPOSALS"
    text = "{limit} proposals is the most that wait for a commit. Make that commit first."
    sample = sample_of(limit=limits.PROPOSALS_WAITING)


class LastAdministrator(Refusal):
    """The room's last administrator would leave others behind."""

    code = "LC-LAST-ADMIN"
    text = "you are the room's last administrator. Make somebody else one first."


class GroupUninvited(Refusal):
    """A commit brings somebody into a room who has not agreed to it."""

    code = "LC-GROUP-UNINVITED"
    text = (
        "{name} has not agreed to come into this room, or no more. Ask them first: /invite {name}"
    )
    sample = sample_of(name="bob")


class CodeUnknown(Refusal):
    """There is no code with this locator, or it has ended or been used up."""

    code = "LC-CODE-UNKNOWN"
    text = "this code opens no room, or no more. Ask whoever gave it to you for a new one."


class CodeTaken(Refusal):
    """Another room has a code with this locator."""

    code = "LC-CODE-TAKEN"
    text = "this code is another room's. Make a new one: /invite"


class CodesMax(Refusal):
    """As many codes of the room work as may."""

    code = "LC-CODES-MAX"
    text = "{limit} codes is the most that work for one room. Take one back, then try again."
    sample = sample_of(limit=limits.ROOM_CODES)


class KnocksMax(Refusal):
    """The caller waits at as many rooms as one may."""

    code = "LC-KNOCKS-MAX"
    text = "you wait to be let into {limit} rooms, the most. Take one request back, then try again."
    sample = sample_of(limit=limits.KNOCKS_WAITING)


class MessageGone(Refusal):
    """What is to be deleted is no message, or has been deleted."""

    code = "LC-MESSAGE-GONE"
    text = (
        "message {seq} is not here, or no more. Look at the room again: there is nothing to delete."
    )
    sample = sample_of(seq=7)


class ReportUnproven(Refusal):
    """What is reported was not said or done so in that room, as far as the server can check."""

    code = "LC-REPORT-UNPROVEN"
    text = (
        "this report cannot be proven: nobody signed that in this room while you were there. "
        "Send the message as it came."
    )


class ReportsMax(Refusal):
    """As many reports wait for an operator as may, of the caller or of all."""

    code = "LC-REPORTS-MAX"
    text = (
        "too many reports wait for an operator already. Tell one of them directly, or come again."
    )


class ReportUnknown(Refusal):
    """There is no report of this number, or no more."""

    code = "LC-REPORT-UNKNOWN"
    text = "there is no report {number}, or no more. See those there are: report list --resolved"
    sample = sample_of(number=7)
