"""Every bound of the system by name, so that wire, server, client and documents state the same one.

All values are plain ints.
The name's last word, or the comment, gives the unit: BYTES, CHARS (code points), SECONDS, or a count.
Those that an operator may change are defaults of the configuration; the others are the protocol.
"""

KIB = 1_024
MIB = 1_024 * KIB
MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR

# -- frames and decoding: what a stranger can make the other end hold or compute ---------------

FRAME_HEADER_BYTES = 4
"""bytes: big-endian length in front of every frame."""
FRAME_GREETING_BYTES = 16 * KIB
"""bytes: largest frame body before authentication; a stranger cannot make us hold more."""
FRAME_BYTES = 64 * KIB
"""bytes: largest frame body after authentication; larger things go in chunks, so that no frame
delays the others on its connection for long."""
DECODE_DEPTH = 8
"""levels: nesting of maps and arrays; deeper input only attacks the decoder's stack."""
DECODE_ITEMS = 4_096
"""count: values and keys in one frame from a client; a 64 KiB frame of one-byte items would
otherwise become megabytes of objects on a server with many clients."""
DECODE_ITEMS_SERVER = 32_768
"""count: the same in a frame from a server; a page of many short events fills it with items of a
few bytes each, and a client has one server."""
COMMAND_NAME_CHARS = 64
"""characters: "noun.verb" of a command or event."""
REQUEST_ID_MAX = 2**32 - 1
"""number: a request id is an unsigned 32-bit integer from 1."""
INTEGER_MAX = 2**63 - 1
"""number: largest integer on the wire; more does not fit a database column."""
VERSIONS_OFFERED = 8
"""count: protocol versions in one hello."""
FEATURES_OFFERED = 32
"""count: feature names in one hello."""

# -- what people write ---------------------------------------------------------------------------

MESSAGE_CHARS = 4_096
"""characters: one message; more is a file."""
MESSAGE_BYTES = 16 * KIB
"""bytes: the same message in UTF-8; four bytes per character at most, so that the character
count is the bound that people meet."""
BODY_BYTES = MESSAGE_BYTES + 64
"""bytes: the body of a message: the text and the map around it, so that the longest text fits."""
TOPIC_CHARS = 200
"""characters: a room's topic fits two lines of the narrowest supported terminal pane."""
REACTION_CHARS = 16
"""characters: one reaction; an emoji of many parts has ten."""
REACTIONS_SHOWN = 20
"""count: different reactions to one message; later ones are dropped."""
POLL_OPTIONS = 20
"""count: answers of a poll."""
POLL_OPTION_CHARS = 200
"""characters: one answer of a poll."""
EXPIRY_SECONDS_MAX = 365 * DAY
"""seconds: the longest that a disappearing message stays."""
LABEL_CHARS = 40
"""characters: a device's label, "laptop at home"."""
NAME_CHARS_MIN = 3
"""characters: shortest user name; shorter ones are too easily mistaken for each other."""
NAME_CHARS_MAX = 32
"""characters: longest user name; fits a column of every table."""
ROOM_NAME_CHARS_MIN = 1
"""characters: shortest room name, without the "#"."""
ROOM_NAME_CHARS_MAX = 32
"""characters: longest room name, without the "#"."""
REASON_CHARS = 200
"""characters: why somebody was kicked or banned."""
COMBINING_MARKS = 4
"""count: combining marks kept on one character; real scripts need up to four, stacks beyond that
paint over the lines above and below."""
VALUE_CHARS = 80
"""characters: how much of a value a refusal quotes; one line of the smallest common terminal."""

# -- rooms and pages -----------------------------------------------------------------------------

ROOMS_JOINED = 200
"""count: rooms one member is in; bounds what a reconnect has to resume in one round trip."""
ROOM_MEMBERS = 10_000
"""count: members of one room; bounds the work of one message."""
BANS_PER_ROOM = 1_000
"""count: bans a room keeps; bounds the list that every join is checked against."""
INVITATIONS_WAITING = 5
"""count: invitations of one member to another that have no answer; a fresh room for each would
otherwise make a device ring as often as somebody likes."""
INVITATIONS_A_DAY = 10
"""count: invitations of one member to another, answered or not, in a day; then as many a day."""
DIRECTS_ANEW_A_DAY = 5
"""count: successors of the direct conversation of two people in a day, whichever of them founds one: one
would do, and each is a room for good in both their lists."""
MUTED_MAX = 200
"""count: people whose invitations one member has hidden; their names fit one answer."""
HISTORY_PAGE = 100
"""count: events in one history answer at most (fewer when the frame is full)."""
HISTORY_PAGE_DEFAULT = 50
"""count: events in one history answer when the client does not say."""
MEMBERS_PAGE = 200
"""count: members in one answer."""
ROOMS_PAGE = 100
"""count: rooms in one answer."""

# -- commands ------------------------------------------------------------------------------------

COMMANDS_IN_FLIGHT = 64
"""count: unanswered commands of one connection; then reading pauses, so that TCP pushes back."""
COMMAND_ID_BYTES = 16
"""bytes: 6 of big-endian Unix milliseconds, then 10 random."""
ANSWERS_KEPT_SECONDS = 7 * DAY
"""seconds: how long the first answer of a command is kept for repeats; older ids are refused,
because nobody knows any more whether they were done."""
COMMAND_ID_SKEW_SECONDS = 1 * HOUR
"""seconds: how far in the future a command id may lie; clocks are wrong, but an id from far ahead
would outlive the sweep of kept answers."""

# -- connections ---------------------------------------------------------------------------------

HANDSHAKE_SECONDS = 10
"""seconds, absolute: TLS handshake; dripping bytes does not prolong it."""
AUTHENTICATION_SECONDS = 30
"""seconds, absolute from the accepted connection, handshake included: until somebody is logged in."""
PING_SECONDS = 60
"""seconds: after this much silence an end asks for a sign of life."""
IDLE_SECONDS = 150
"""seconds: after this much silence the connection is given up; two pings may get lost."""
STOP_SECONDS = 5
"""seconds: an orderly stop finishes the commit queue and tells clients within this."""
PREAUTH_PER_ADDRESS = 16
"""count: connections of one address at once that have not authenticated; more is a flood."""
UNAUTHENTICATED_PER_ADDRESS = 32
"""count: connections of one address that ended unauthenticated within the window below."""
UNAUTHENTICATED_WINDOW_SECONDS = 10 * MINUTE
"""seconds: window of the count above; resumes and successes do not count."""
OUTBOX_BYTES = 512 * KIB
"""bytes: written but unsent bytes of one connection; past it room events stop, and the client
catches up from its cursor. `transport.write` itself never refuses."""
OUTBOX_CUT_BYTES = 4 * MIB
"""bytes: unsent answers and notices, which are never left out; a connection that lets this much
wait for it is cut."""
RECONNECT_SECONDS_MIN = 1
"""seconds: a client's first try after a lost connection comes within this."""
RECONNECT_SECONDS_MAX = 15
"""seconds: cap of the jittered delay between tries."""
PORT = 7023
"""number: where a server listens unless told otherwise."""
DIAL_SECONDS = 15
"""seconds: a client gives up a TCP connection attempt."""

# -- logging in ----------------------------------------------------------------------------------

LOGIN_FAILURES_FREE = 5
"""count: wrong passwords per account and address before delays begin."""
LOGIN_FAILURES_FREE_ACCOUNT = 20
"""count: wrong passwords per account, from all addresses together, before delays begin; it bounds
a guesser who has many addresses."""
LOGIN_DELAY_SECONDS_MIN = 5
"""seconds: first delay, doubled by each further failure."""
LOGIN_DELAY_SECONDS_MAX = 15 * MINUTE
"""seconds: longest delay between tries; a device with a valid token is never delayed."""
LOGIN_ATTEMPTS_KEPT_SECONDS = 1 * DAY
"""seconds: failures older than this are forgotten."""
HASH_WORKERS = 2
"""count: threads that hash passwords; each needs 19 MiB while it works."""
HASH_QUEUE = 64
"""count: logins that may wait for them, about 0.7 s of work; then LC-AUTH-BUSY."""
ARGON2_SERVER_KIB = 19 * KIB
"""KiB: memory of the server's Argon2id over the derived secret (OWASP's minimum)."""
ARGON2_SERVER_PASSES = 2
"""count: its passes."""
ARGON2_CLIENT_KIB = 64 * KIB
"""KiB: memory of the client's Argon2id over the password; a client refuses a lower figure."""
ARGON2_CLIENT_PASSES = 3
"""count: its passes; a client refuses fewer."""
AUTH_SECRET_BYTES = 32
"""bytes: what the client derives from the password and sends instead of it."""
TOKEN_BYTES = 32
"""bytes: session and resume tokens, 256 random bits."""
SESSION_IDLE_SECONDS = 90 * DAY
"""seconds: a session that nobody used for so long is over."""
SESSIONS_PER_USER = 32
"""count: devices logged in to one account; bounds what one account can make us keep."""
CONNECTIONS_PER_USER = 64
"""count: live connections of one account, two for each of its devices; each may hold an outbox, and
a token can be resumed any number of times."""
DEVICES_KEPT = 32
"""count: devices of an account that are kept though logged out; older ones are forgotten."""
INVITE_SECONDS = 7 * DAY
"""seconds: how long an invite link works."""
INVITE_SECONDS_MAX = 90 * DAY
"""seconds: the longest life that an inviter may choose."""
INVITE_USES_MAX = 1_000
"""count: the most accounts that one invite link may make."""
OWNER_LINK_SECONDS = 24 * HOUR
"""seconds: the first start's owner link; it makes an owner, so it is short-lived."""
INVITE_CODE_CHARS = 26
"""characters: Crockford base32, 130 bits; beyond guessing, short enough for one line."""
IDENTITY_PREFIX_BYTES = 16
"""bytes: least part of a server's identity in a link; 128 bits cannot be matched by search."""

# -- accounts' logs (end to end) -------------------------------------------------------------------

LOG_ENTRIES = 1_024
"""count: entries of one account's log, after its first; a few for each device there ever was."""
LOG_ENTRIES_ROOT = 128
"""count: the last of those, which only the root may use; a thief of a device could otherwise fill
the log, so that nothing of theirs could be revoked."""
LOG_DEVICES = 32
"""count: devices of one account in force at once; each is a leaf in every group."""
LOG_SIGNERS = 8
"""count: device-signing keys of one account in force at once."""
LOG_BYTES = 4 * MIB
"""bytes: one account's log, encoded; what the entries above can take at most."""
ROOM_DEVICES = 1_000
"""count: devices in one encrypted room; what joining and committing cost grows with it."""
LOG_PART_BYTES = 48 * KIB
"""bytes: what one command or answer brings of a log; with its header it fits a frame."""
LOGS_PER_USER = 8
"""count: logs that one account may begin; each after the first is because the words were lost."""
LOG_BEGIN_SECONDS = 1 * DAY
"""seconds: the least time between two of them; each makes all who know the account look up."""

# -- key packages and inboxes (end to end) ----------------------------------------------------------

KEY_PACKAGES = 50
"""count: key packages of one device that wait for whoever adds it, besides the one of last resort."""
KEY_PACKAGES_AT_ONCE = 16
"""count: key packages in one command, given or asked for."""
KEY_PACKAGE_BYTES = 3 * KIB
"""bytes: one key package; so many at once fit a frame."""
KEY_PACKAGE_SECONDS = 90 * DAY
"""seconds: the longest life of a key package."""
LAST_RESORT_SECONDS = 30 * DAY
"""seconds: the same for one of last resort, which more than one person may be given."""
KEY_PACKAGE_SKEW_SECONDS = 1 * HOUR
"""seconds: how far ahead of the server's the clock of a device may be that makes key packages."""
KEY_PACKAGES_LOW = 10
"""count: with fewer left a device is told to bring more."""
KEYS_ASKED = 512
"""count: key packages that one account may ask for at once."""
KEYS_ASKED_PER_MINUTE = 60
"""count per minute: the steady rate after that; many are added to a room at once, but not often."""
KEYS_TAKEN = 200
"""count: key packages of one account that may be taken at once, whoever asks."""
KEYS_TAKEN_PER_HOUR = 100
"""count per hour: the steady rate after that; who asks for more wants to use them up."""
KEYS_TAKEN_BY_ONE = 64
"""count: key packages of one account that another may take at once."""
KEYS_TAKEN_BY_ONE_PER_HOUR = 32
"""count per hour: the steady rate after that."""
INBOX_BODY_BYTES = 48 * KIB
"""bytes: one entry of a device's inbox; with its header it fits a frame."""
INBOX_WELCOMES = 512
"""count: welcomes, and proofs with them, that wait in one inbox; more than a member has rooms."""
INBOX_WELCOMES_BYTES = 4 * MIB
"""bytes: the same welcomes together; who would add one more is refused."""
INBOX_NOTE_BYTES = 16 * KIB
"""bytes: one note between devices, for linking or verifying."""
INBOX_NOTES = 128
"""count: notes that wait in one inbox; then the oldest makes room."""
INBOX_SENT = 64
"""count: notes that one account may send at once; a verification takes a handful."""
INBOX_SENT_PER_MINUTE = 12
"""count per minute: the steady rate after that."""
INBOX_SENT_TO_ONE = 24
"""count: notes of one account to another at once."""
INBOX_SENT_TO_ONE_PER_MINUTE = 4
"""count per minute: the steady rate after that."""
INBOX_PAGE = 100
"""count: entries of an inbox in one answer at most (fewer when the frame is full)."""
INBOX_SECONDS = 60 * DAY
"""seconds: how long an entry waits; a device that is silent for so long is removed from rooms."""

# -- encrypted rooms -------------------------------------------------------------------------------

GROUP_ID_BYTES = 16
"""bytes: the id of an encrypted room's group, random."""
SEALED_BYTES = 20 * KIB
"""bytes: a message of an encrypted room: the longest text, padded, signed and sealed."""
EVENT_BYTES = 48 * KIB
"""bytes: a commit that stands in its event; a larger one is read in pieces."""
COMMIT_BYTES = 4 * MIB
"""bytes: one commit; adding as many devices as a room may have takes three quarters of it."""
WELCOME_BYTES = 2 * MIB
"""bytes: the welcome of one commit, for all whom it adds."""
GROUP_INFO_BYTES = 16 * KIB
"""bytes: the information about an epoch; it is in every welcome, and has to fit a frame beside it."""
PROPOSAL_BYTES = 16 * KIB
"""bytes: one proposal."""
PROPOSALS_WAITING = 64
"""count: proposals of members that wait for one commit, which has to take them all."""
PROPOSALS_PER_DEVICE = 8
"""count: how many of those are of one device, so that none fills the list against the others."""
LEASE_SECONDS = 5
"""seconds: how long others leave it to one device to commit what waits."""
GROUP_CACHE_BYTES = 64 * MIB
"""bytes: trees of encrypted rooms that the server keeps in memory."""
TREES_KEPT_SECONDS = 60 * DAY
"""seconds: how long a tree is kept once its epoch is over, for those who were welcomed to it."""
EPHEMERAL_BYTES = 256
"""bytes: what is passed on and not kept, typing and the like, sealed."""
EPHEMERAL_BURST = 10
"""count: how much of that one device may send at once."""
EPHEMERAL_PER_SECOND = 2
"""count per second: the steady rate after that."""

INVITATION_SECONDS = 30 * DAY
"""seconds: how long an invitation into an encrypted room stands, accepted or not."""
CODE_LOCATOR_BYTES = 8
"""bytes: the part of a code by which the server finds its room."""
CODE_PROOF_BYTES = 1 * KIB
"""bytes: what a joiner and a member prove to each other by a code, opaque to the server; for as many
devices as there are key packages beside it."""
ROOM_CODES = 32
"""count: codes of one room that work at once."""
KNOCKS_WAITING = 16
"""count: rooms at which one person waits to be let in with a code; each keeps key packages."""
KNOCKS = 10
"""count: codes that one person may try at once."""
KNOCKS_PER_HOUR = 20
"""count per hour: the steady rate after that; a locator is beyond guessing, and this keeps it so."""
ADMISSIONS_AT_ONCE = 64
"""count: people with a code whom one commit lets in; their proofs fit a frame beside it."""

EPOCH_MESSAGES_RENEW = 500
"""count: own messages in one epoch after which a device commits, so that keys heal."""
EPOCH_MESSAGES_MAX = 900
"""count: own messages in one epoch after which a device seals none until somebody has committed."""
RENEW_DAYS = 7
"""days: a device renews its keys in a room at least this often; more in large rooms."""
RENEW_DEVICES_PER_DAY = 20
"""count: devices that renew their keys on one day; a room of 1,000 takes 50 days for all."""
SILENT_DAYS = 60
"""days: a device that a member has not heard in a room for so long is removed, if another of its person's stays."""
LISTENING_GAP_DAYS = 14
"""days: who has followed nothing of a room for longer was away, and judges nobody's silence by that."""

REPORT_BYTES = 20 * KIB
"""bytes: a reported message as its author signed it; none in an encrypted room is larger."""
REPORTS_AT_ONCE = 5
"""count: reports that one person may make at once."""
REPORTS_PER_HOUR = 10
"""count per hour: the steady rate after that; each has a person to read it."""
REPORTS_OPEN_PER_USER = 20
"""count: reports of one person that wait for an operator."""
REPORTS_OPEN = 2_000
"""count: reports of all that wait for an operator, 40 MB of the largest."""
REPORTS_KEPT_SECONDS = 30 * DAY
"""seconds: how long a report is kept once it is resolved; it is somebody's words in clear."""

# -- rates ---------------------------------------------------------------------------------------

SEND_BURST = 10
"""count: messages a member may send at once."""
SEND_PER_SECOND = 5
"""count per second: the steady rate after the burst."""
READ_BURST = 100
"""tokens: commands other than sends that a member may start at once (a client catching up)."""
READ_PER_SECOND = 20
"""tokens per second: the steady rate after that burst."""

# -- bulk transfer -------------------------------------------------------------------------------

BLOB_CHUNK_BYTES = 48 * KIB
"""bytes: payload of one chunk; with its header it fits a frame."""
BLOB_BYTES = 16 * MIB
"""bytes: largest thing transferred in chunks."""
BLOB_QUOTA_BYTES = 64 * MIB
"""bytes: what one account may keep on the server."""
BLOB_PENDING = 4
"""count: unfinished uploads of one account."""

# -- backup of encrypted rooms ---------------------------------------------------------------------

KEEPSAKE_BYTES = 8 * MIB
"""bytes: one sealed object that an account keeps for its own devices."""
KEEPSAKES = 32_768
"""count: such objects of one account; the list of them has to fit into one."""
KEEPSAKE_QUOTA_BYTES = 256 * MIB
"""bytes: all of them together; a million short messages take about so much."""
KEEPSAKES_AT_ONCE = 256
"""count: objects in one command that deletes them."""
KEEPSAKES_LISTED = 256
"""count: objects in one answer that lists them."""

# -- reading places of encrypted rooms ---------------------------------------------------------------

READING_ROOMS = 256
"""count: rooms of which a device tells the account's others how far it has read; more than one is in."""
READING_SLOT_BYTES = 8 * KIB
"""bytes: all of that, sealed and padded: what the server keeps of it for one device."""
READING_SECONDS = 10
"""seconds: between two times that a device tells it, however much is read meanwhile."""
READING_BURST = 10
"""count: how often the server takes it at once: each start and each end of a program adds one."""
READING_PER_MINUTE = 12
"""count per minute: the steady rate after that, twice of what our clients need."""

# -- storage -------------------------------------------------------------------------------------

GROUP_UNITS = 1_000
"""count: commands that share one commit; this is the fan-out batch too."""
GROUP_BYTES = 1 * MIB
"""bytes: payload that shares one commit."""
GROUP_MILLISECONDS = 20
"""ms: running time after which a group is committed, so that nobody waits for a long queue."""

# -- operators -----------------------------------------------------------------------------------

PUBLIC_FILE_CHARS = 16 * KIB
"""characters: the longest file that an operator's command takes, such as a public key."""
OPERATOR_PAGE = 200
"""count: rows in one answer to an operator; doors ask for the next page by themselves."""
OPERATOR_ROWS = 100_000
"""count: rows that a door collects for one command line."""
OPERATOR_LINE_CHARS = 8 * KIB
"""characters: the longest command line of an operator."""
MAINTENANCE_RETRY_SECONDS = 1 * MINUTE
"""seconds: when clients come again while the chat is closed for maintenance."""

# -- SSH -----------------------------------------------------------------------------------------

SSH_PACKET_BYTES = 36 * KIB
"""bytes: largest SSH packet; RFC 4253 asks for 35,000, Conch would hold a megabyte."""
SSH_AUTH_REQUESTS = 13
"""count: requests of one connection to log in: which ways there are, then two for each of six keys."""
SSH_ARRIVALS = 10
"""count: SSH connections of one address at once, of those that have not authenticated; each makes
the server agree on keys.  Whoever authenticates starts anew."""
SSH_ARRIVALS_PER_SECOND = 10
"""count per second: the steady rate after that burst."""
SSH_CHANNELS = 8
"""count: sessions on one SSH connection; OpenSSH's control master shares it among as many."""
SSH_TYPED_BYTES = 64 * KIB
"""bytes: what may be typed ahead of a command that still runs; then the channel's window is shut."""
SSH_HISTORY = 500
"""count: lines that a shell remembers while it is open."""

# -- HTTP ----------------------------------------------------------------------------------------

HTTP_PER_ADDRESS = 16
"""count: HTTP connections of one address at once."""
HTTP_REQUEST_SECONDS = 10
"""seconds, absolute: from the first byte of a request, or the connection, to its last."""
HTTP_QUIET_SECONDS = 75
"""seconds, absolute: from the end of an answer to the next request; scrapes come every minute."""
HTTP_LINGER_SECONDS = 2
"""seconds: a refused client may read why before what it still sends is answered with a reset."""
HTTP_BODY_BYTES = 64 * KIB
"""bytes: the largest body of a request, with a length or in chunks."""
HTTP_BURST = 60
"""count: requests of one address at once."""
HTTP_PER_SECOND = 20
"""count per second: the steady rate after that burst."""

# -- health --------------------------------------------------------------------------------------

HEALTH_SECONDS = 2
"""seconds: a check that has not answered by then has failed."""
HEALTH_KEPT_SECONDS = 1
"""seconds: a report is given again within this, however many ask."""
DISK_FREE_BYTES = 32 * MIB
"""bytes: with less free space the server is not ready: the write-ahead log grows by 16 MiB before it
is copied, and as much is written by the copy."""
DISK_LOW_BYTES = 512 * MIB
"""bytes: with less free space an operator should look."""
QUEUE_SLOW_MILLISECONDS = 500
"""ms: a writer that takes longer to come to its work is worth a look."""
CERTIFICATE_LOW_SECONDS = 14 * DAY
"""seconds: a certificate that runs out sooner is worth a look; our own is renewed before that."""
KEYS_PER_USER = 32
"""count: public keys of one account that the shell lets in."""
