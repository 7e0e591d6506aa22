"""What stops the local program before or beside the wire, in the form of refusals.

Network, TLS and identity, links, profiles and the start of the server each have codes of their
own, so that nobody is told "wrong password" when a cable is unplugged.
"""

from lairchat.model import limits
from lairchat.model.refusal import Refusal, sample_of

# -- network -------------------------------------------------------------------------------------


class NetRefused(Refusal):
    """Nothing listens at the address."""

    code = "LC-NET-REFUSED"
    text = (
        "cannot reach {address}: connection refused. Is the server running? Try: lair doctor {host}"
    )
    sample = sample_of(address="chat.example.org:7023", host="chat.example.org")


class NetName(Refusal):
    """The host name does not resolve."""

    code = "LC-NET-NAME"
    text = "cannot find the host {host}. Check the spelling and the network."
    sample = sample_of(host="chat.example.org")


class NetTimeout(Refusal):
    """The address does not answer in time."""

    code = "LC-NET-TIMEOUT"
    text = (
        "cannot reach {address}: "
        f"no answer within {limits.DIAL_SECONDS} s. "
        "Check for a firewall. Try: lair doctor {host}"
    )
    sample = sample_of(address="chat.example.org:7023", host="chat.example.org")


class NetUnreachable(Refusal):
    """The network says that there is no way to the address."""

    code = "LC-NET-UNREACHABLE"
    text = "cannot reach {address}: {why}. Check the network, then try: lair doctor {host}"
    sample = sample_of(
        address="chat.example.org:7023", why="network is unreachable", host="chat.example.org"
    )


class NetLost(Refusal):
    """An established connection ended without a goodbye."""

    code = "LC-NET-LOST"
    text = "the connection to {address} was lost. Next try in {wait}; to try now: /reconnect"
    sample = sample_of(address="chat.example.org:7023")


class SendQueued(Refusal):
    """A script's message waits in the profile: there was no answer in time."""

    code = "LC-SEND-QUEUED"
    text = (
        "not sent yet: {address} did not answer within {seconds} s. "
        "Leave it: the message is kept, and goes out when lair next connects."
    )
    sample = sample_of(address="chat.example.org:7023", seconds=20)


class SendUnsent(Refusal):
    """A script's message could neither be sent nor kept."""

    code = "LC-SEND-UNSENT"
    text = (
        "not sent, and not kept: {address} did not answer within {seconds} s. "
        "Try again later, or wait longer: --wait SECONDS"
    )
    sample = sample_of(address="chat.example.org:7023", seconds=20)


# -- TLS and the server's identity ---------------------------------------------------------------


class TlsHandshake(Refusal):
    """The TLS handshake did not come about."""

    code = "LC-TLS-HANDSHAKE"
    text = "{address} does not complete a TLS handshake: {why}. Check the port: {default} is usual."
    sample = sample_of(address="chat.example.org:7025", why="wrong version number", default=7023)


class TlsVersion(Refusal):
    """The other end offers only older versions of TLS."""

    code = "LC-TLS-VERSION"
    text = "{address} does not offer TLS 1.3. Ask its operator to update the server."
    sample = sample_of(address="chat.example.org:7023")


class TlsExpired(Refusal):
    """The certificate's time has passed, or has not come yet."""

    code = "LC-TLS-EXPIRED"
    text = (
        "the certificate of {host} is not valid now ({dates}). "
        "Check this clock; ask the operator to renew it."
    )
    sample = sample_of(host="chat.example.org", dates="until 2026-11-01")


class TlsHost(Refusal):
    """The certificate names another host."""

    code = "LC-TLS-HOST"
    text = "the certificate is for {names}, not {host}. Check the address, or ask the operator."
    sample = sample_of(names="lair.example.net", host="chat.example.org")


class TlsCa(Refusal):
    """No certificate authority that is trusted here stands behind the certificate."""

    code = "LC-TLS-CA"
    text = (
        "no authority trusted here vouches for {host}. "
        "Ask the operator for an invite link, or try: lair doctor {host}"
    )
    sample = sample_of(host="chat.example.org")


class TlsPin(Refusal):
    """The server shows another identity than the one pinned: a hard stop."""

    code = "LC-TLS-PIN"
    text = (
        'server identity CHANGED: was "{old}", now "{new}". '
        "Ask the operator if it is announced. Compare, then: lair serverkey --replace"
    )
    sample = sample_of(old="amber otter...", new="delta plum...")


class TlsIdentity(Refusal):
    """The identity in hello is not signed for the TLS key of this connection, or has expired."""

    code = "LC-TLS-IDENTITY"
    text = (
        "{host} cannot prove its identity here: {why}. "
        "Somebody may be in between. Ask the operator before you log in."
    )
    sample = sample_of(host="chat.example.org", why="the signature does not fit")


class WeakDerivation(Refusal):
    """The server asks for a cheaper password derivation than the client's floor."""

    code = "LC-AUTH-WEAK"
    text = (
        "{host} asks to derive the password too cheaply, which would expose it. "
        "Nothing was sent. Ask its operator why."
    )
    sample = sample_of(host="chat.example.org")


# -- links, profiles, terminal -------------------------------------------------------------------


class LinkBad(Refusal):
    """A lair:// link cannot be read."""

    code = "LC-LINK-BAD"
    text = "this link cannot be read: {why}. Copy it whole, in quotes: lair 'lair://...'"
    sample = sample_of(why="the invite code has 25 characters, not 26")


class AddressBad(Refusal):
    """A host, or host and port, cannot be read."""

    code = "LC-ADDRESS-BAD"
    text = 'the address "{address}" cannot be read: {why}. Try one like: chat.example.org:7023'
    sample = sample_of(address="chat example", why="a host name has no spaces")


class ProfileLocked(Refusal):
    """Another process holds the profile: a client that is open elsewhere, or one that hangs."""

    code = "LC-PROFILE-LOCKED"
    text = "another lair uses {path}. Look for it and go on there, or close it and try again."
    sample = sample_of(path="~/.local/share/lair/7f2a910c/alice")


class ProfileBroken(Refusal):
    """The profile's files cannot be read."""

    code = "LC-PROFILE-BROKEN"
    text = "the profile {path} cannot be read: {why}. Move it aside and log in again."
    sample = sample_of(path="~/.local/share/lair/7f2a910c/alice", why="it is not a database")


class ProfileKey(Refusal):
    """What was typed is not the password under which the profile's store was locked."""

    code = "LC-PROFILE-KEY"
    text = "this password does not open {path}. Try again, or the one before a reset."
    sample = sample_of(path="~/.local/share/lair/7f2a910c/alice")


class ProfileDamaged(Refusal):
    """The profile's store, or the key to it, has been damaged or belongs to something else."""

    code = "LC-PROFILE-DAMAGED"
    text = (
        "{path} is damaged: {why}. Keep a copy of the profile, then move it aside and log in again."
    )
    sample = sample_of(path="~/.local/share/lair/7f2a910c/alice/store.db", why="a page is broken")


class ProfileNewer(Refusal):
    """The profile's store was written by a newer version."""

    code = "LC-PROFILE-NEWER"
    text = "{path} is of a newer lair (schema {found}, this one knows {known}). Start that one."
    sample = sample_of(path="~/.local/share/lair/7f2a910c/alice/store.db", found=7, known=6)


class ProfileFull(Refusal):
    """There is no space for what the client has to keep; it has kept all that it had."""

    code = "LC-PROFILE-FULL"
    text = "no space left for {path}: this was not kept or sent. Free some, then try again."
    sample = sample_of(path="~/.local/share/lair/7f2a910c/alice/store.db")


class ProfileDisk(Refusal):
    """The profile's store cannot be read or written now."""

    code = "LC-PROFILE-DISK"
    text = "{path} cannot be used: {why}. This was not kept or sent. See: ls -l, df -h, dmesg"
    sample = sample_of(path="~/.local/share/lair/7f2a910c/alice/store.db", why="disk I/O error")


class ProfileMissing(Refusal):
    """No server is known on this computer yet, or not that one."""

    code = "LC-PROFILE-NONE"
    text = "no server is known here yet. Try: lair 'LINK' with an invite link, or: lair HOST"


class WordsBad(Refusal):
    """What was typed are not the account's recovery words; it says nothing of what was typed."""

    code = "LC-WORDS"
    text = "these are not your recovery words: {why}. Look at what you wrote down, and try again."
    sample = sample_of(why="word 3 is not on the list")


class BackupKeyless(Refusal):
    """The backup is asked for on a device that does not have its key."""

    code = "LC-BACKUP-KEY"
    text = "this device does not have the key of your backup. Take your recovery words, and type /recover"


class StoreShut(Refusal):
    """Encrypted rooms are asked for while this device's store has not been opened."""

    code = "LC-LOCKED"
    text = "encrypted rooms are locked on this device. Type your password: /unlock, or: lair unlock"


class ReportProof(Refusal):
    """A message is to be reported of which this device has not kept what its author signed."""

    code = "LC-REPORT-PROOF"
    text = (
        "this device cannot prove who wrote #{seq}: it is yours, or from the backup or an older lair. "
        "Try another device of yours."
    )
    sample = sample_of(seq=120)


class ReportChanged(Refusal):
    """A message is to be reported that its author has edited since somebody agreed to show it."""

    code = "LC-REPORT-CHANGED"
    text = "#{seq} has changed meanwhile, and nobody was shown it. Look at it, then report it again"
    sample = sample_of(seq=120)


class ReportNothing(Refusal):
    """A refused change is to be reported in a room that has none."""

    code = "LC-REPORT-NOTHING"
    text = (
        "no change was refused in this room. Name the message: /report #120 what is wrong with it"
    )


class MessageAbsent(Refusal):
    """What is to be answered, changed or shown is no message that this device has."""

    code = "LC-MESSAGE-ABSENT"
    text = "#{seq} is no message that is here, or no more. Look for it: /search"
    sample = sample_of(seq=120)


class VoteBad(Refusal):
    """A vote does not fit the poll."""

    code = "LC-VOTE"
    text = "{why}. Look at the poll, and vote by number: /vote 1"
    sample = sample_of(why="it takes one answer")


class ClientBroken(Refusal):
    """Something failed in the client that should not have."""

    code = "LC-CLIENT"
    text = (
        "something unexpected went wrong in lair itself. Start it again; if it stays: lair doctor"
    )


class DeviceNew(Refusal):
    """Encrypted rooms are asked for on a device that is none of the account's yet."""

    code = "LC-DEVICE-NEW"
    text = "this device is not one of yours yet, for encrypted rooms. Link it there: start lair, then /link"


class RoomHeld(Refusal):
    """Something holds sending in an encrypted room."""

    code = "LC-HELD"
    text = "held: {why}. {advice}"
    # Our own sentences, with a name in them: a command in them that was cut would be another one.
    value_chars = 2 * limits.VALUE_CHARS
    sample = sample_of(
        why="bob's identity has changed",
        advice="Compare with bob: /verify bob, or take the new one: /trust bob",
    )


class PlainOnly(Refusal):
    """The terminal cannot show a screen, so lines are used."""

    code = "LC-PLAIN-ONLY"
    text = (
        'the terminal "{term}" shows no screens, so lines are used. '
        "Try another TERM, or: lair --plain"
    )
    sample = sample_of(term="unknown")


class NoTerminal(Refusal):
    """Something has to be asked and there is nobody to ask."""

    code = "LC-NO-TERMINAL"
    text = "{what} has to be asked for, and this is no terminal. Run it in one: {command}"
    sample = sample_of(what="the password", command="lair chat.example.org")


# -- start of the server -------------------------------------------------------------------------


class StartPort(Refusal):
    """A listener cannot be opened."""

    code = "LC-START-PORT"
    text = "cannot listen on {address}: {why}. See who has it: ss -ltnp 'sport = :{port}'"
    sample = sample_of(address="127.0.0.1:7023", why="address already in use", port=7023)


class StartListen(Refusal):
    """A listener cannot be opened, and it is not that somebody else has the port."""

    code = "LC-START-LISTEN"
    text = "cannot listen on {address}: {why}. Change the endpoint in the configuration."
    sample = sample_of(address="192.0.2.7:7023", why="cannot assign requested address")


class StartCertificate(Refusal):
    """The TLS certificate or its key cannot be used."""

    code = "LC-START-CERT"
    text = "cannot use {path} for TLS: {why}. Put it right; without one the server makes its own."
    sample = sample_of(path="/etc/lairchat/fullchain.pem", why="it holds no PEM certificate")


class StartLock(Refusal):
    """Another daemon uses the data directory."""

    code = "LC-START-LOCK"
    text = "another lairchat (process {pid}) uses {path}. Stop it first: kill {pid}"
    sample = sample_of(pid=4711, path="~/.local/share/lairchat")


class StartDisk(Refusal):
    """There is no space for what the server has to write."""

    code = "LC-START-DISK"
    text = "no space left for {path}. Free some, then start again. See: df -h {path}"
    sample = sample_of(path="~/.local/share/lairchat")


class StartPermission(Refusal):
    """A file or directory cannot be used, or others could read it."""

    code = "LC-START-PERM"
    text = "cannot use {path}: {why}. Check owner and mode: ls -ld {path}"
    sample = sample_of(path="~/.local/share/lairchat", why="permission denied")


class StartSchema(Refusal):
    """The database was made by a newer version."""

    code = "LC-START-SCHEMA"
    text = (
        "{path} has schema {found}, this version knows {known}. "
        "Start the newer version, or: lairctl backup restore {backup} --replace"
    )
    sample = sample_of(path="lair.db", found="0009", known="0003", backup="lair.db.before-0009")


class StartOld(Refusal):
    """The database was made by an older version, and nobody has started this one yet."""

    code = "LC-START-OLD"
    text = (
        "{path} has schema {found}, this version needs {needed}. "
        "Start the server once; it makes a backup and migrates: twistd lairchat"
    )
    sample = sample_of(path="lair.db", found="0002", needed="0003")


class StartBroken(Refusal):
    """The database or a key file is damaged."""

    code = "LC-START-BROKEN"
    text = "{path} is damaged: {why}. Keep a copy. See: lairctl db check, lairctl backup list"
    sample = sample_of(path="~/.local/share/lairchat/lair.db", why="not a database")


class Config(Refusal):
    """The configuration cannot be used; the place is file:line:column."""

    code = "LC-CFG"
    text = "{place}: {problem}. {advice}"
    sample = sample_of(
        place="etc/lairchat.toml:12:8",
        problem='unknown key "endpiont" in [listen.chat]',
        advice='Did you mean "endpoint"?',
    )


# -- lairctl ---------------------------------------------------------------------------------------


class ControlDenied(Refusal):
    """The daemon's socket is not for this user."""

    code = "LC-CTL-DENIED"
    text = "{path} is for the server's own user and root. Run this as one of them: sudo lairctl"
    sample = sample_of(path="~/.local/share/lairchat/control")


class ControlLost(Refusal):
    """The daemon went away in the middle of a command, or did not speak as lairctl does."""

    code = "LC-CTL-LOST"
    text = "the daemon at {path} ended the conversation: {why}. See its log, then try again."
    sample = sample_of(path="~/.local/share/lairchat/control", why="it is gone")


class ControlText(Refusal):
    """A word of the command line cannot be sent."""

    code = "LC-CTL-TEXT"
    text = 'the word "{word}" is not UTF-8. Type it again, in a terminal that writes UTF-8.'
    sample = sample_of(word="caf?")


class ControlFile(Refusal):
    """A file that a command names cannot be sent to the server."""

    code = "LC-CTL-FILE"
    text = "cannot send {path}: {why}. Name a public file, such as ~/.ssh/id_ed25519.pub"
    sample = sample_of(path="~/.ssh/id_ed25519", why="it holds a private key")


class ControlNone(Refusal):
    """There is neither a daemon nor a data directory."""

    code = "LC-CTL-NONE"
    text = "there is no server in {path}. Start one with: twistd -n lairchat, or name its --data"
    sample = sample_of(path="~/.local/share/lairchat")
