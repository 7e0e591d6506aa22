"""Says which server one talks to: its identity in words, and links that carry it to people.

A server's identity is the SHA-256 of its Ed25519 public key; clients pin it, never a certificate.
People compare it as six words or as hexadecimal; links carry at least 128 bits of it, so that
whoever has the link is asked no question of trust.

``words.txt`` is the English list of BIP-39 (2,048 words of 3 to 8 letters, told apart by their
first four), as shipped by the PyPI package ``mnemonic`` 0.21 under the MIT licence, copyright (c)
2013-2016 Pavol Rusnak; the licence is beside it in ``words.LICENSE.txt``.
"""

# Imported before the client's first paint: the word list, hashlib and ipaddress come on demand.

from lairchat.model import limits
from lairchat.model.faults import AddressBad, LinkBad

WORDS_SHOWN = 6
"""count: words of an identity that people compare, 66 bits."""

_DIGEST_BYTES = 32
_KEY_BYTES = 32
_WORD_BITS = 11
_SCHEME = "lair://"
_INVITE_PATH = "i"
_LINK_CHARS = 1_024  # longer input is no link, and parsing it would only cost time
_HOST_CHARS = 253  # RFC 1035 section 2.3.4
_HOST_LABEL_CHARS = 63
_PORT_MAX = 65_535
_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")
_HOST_SIGNS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# What people read or type for one of these, and dashes put in for legibility.
_CROCKFORD_FORMS = {ord("I"): "1", ord("L"): "1", ord("O"): "0", ord("-"): "", ord(" "): ""}

_words: tuple[str, ...] = ()


def word_list() -> tuple[str, ...]:
    """Return the 2,048 words, in order; the number of a word stands for eleven bits."""
    global _words
    if not _words:
        from pathlib import Path

        _words = tuple(Path(__file__).with_name("words.txt").read_text(encoding="ascii").split())
    return _words


class ServerId:
    """A server's identity: SHA-256 of its Ed25519 public key, 32 bytes, as ``digest``.

    Raises ValueError if there are not 32 bytes.
    """

    __slots__ = ("digest",)

    def __init__(self, digest: bytes) -> None:
        if len(digest) != _DIGEST_BYTES:
            raise ValueError(f"a server identity is {_DIGEST_BYTES} bytes, got {len(digest)}")
        self.digest = digest

    @classmethod
    def of_key(cls, public_key: bytes) -> "ServerId":
        """Return the identity of a raw Ed25519 public key; ValueError if it is not 32 bytes."""
        if len(public_key) != _KEY_BYTES:
            raise ValueError(f"an Ed25519 public key is {_KEY_BYTES} bytes, got {len(public_key)}")
        from hashlib import sha256

        return cls(sha256(public_key).digest())

    @classmethod
    def from_hex(cls, text: str) -> "ServerId":
        """Return the identity written as 64 hexadecimal digits, colons allowed, or ValueError."""
        return cls(bytes.fromhex(text.replace(":", "")))

    @property
    def hex(self) -> str:
        """All 256 bits as 64 upper-case digits: ``7F2A910C...``."""
        return self.digest.hex().upper()

    @property
    def fingerprint(self) -> str:
        """All 256 bits in pairs: ``7F:2A:91:...``, 95 characters."""
        return self.digest.hex(":").upper()

    @property
    def short(self) -> str:
        """The first two and the last byte, to recognise, never to compare: ``7F:2A:...:D4``."""
        whole = self.fingerprint
        return f"{whole[:5]}:...:{whole[-2:]}"

    @property
    def prefix128(self) -> bytes:
        """The first 16 bytes: what links carry."""
        return self.digest[: limits.IDENTITY_PREFIX_BYTES]

    def words(self) -> tuple[str, ...]:
        """Return the six words that stand for the first 66 bits, eleven bits each."""
        bits = int.from_bytes(self.digest, "big") >> (_DIGEST_BYTES * 8 - WORDS_SHOWN * _WORD_BITS)
        names = word_list()
        places = range((WORDS_SHOWN - 1) * _WORD_BITS, -1, -_WORD_BITS)
        return tuple(names[bits >> place & (2**_WORD_BITS - 1)] for place in places)

    def matches(self, prefix: bytes) -> bool:
        """Tell whether a link's ``prefix`` of at least 16 bytes belongs to this identity."""
        return len(prefix) >= limits.IDENTITY_PREFIX_BYTES and self.digest.startswith(prefix)

    def __eq__(self, other: object) -> bool:
        return self.digest == other.digest if isinstance(other, ServerId) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"ServerId({self.short})"


class Link:
    """An invitation: where the server is, how to know it, and the code that opens an account.

    host: name or address, without brackets.
    code: 26 characters of Crockford base32; a secret, so that ``repr`` leaves it out.
    id_prefix: the first 16 to 32 bytes of the server's identity.
    """

    __slots__ = ("code", "host", "id_prefix", "port")

    def __init__(self, host: str, port: int, code: str, id_prefix: bytes) -> None:
        self.host = host
        self.port = port
        self.code = code
        self.id_prefix = id_prefix

    @classmethod
    def parse(cls, text: str) -> "Link":
        """Read ``lair://HOST[:PORT]/i/CODE?id=HEX``; keys other than ``id`` are for later clients.

        Raises LinkBad.
        """
        text = "".join(text[: 2 * _LINK_CHARS].split())  # copied from a screen, it has line ends
        if len(text) > _LINK_CHARS:
            raise LinkBad(why="it is too long")
        if not text[: len(_SCHEME)].lower() == _SCHEME:
            raise LinkBad(why="it does not start with lair://")
        address, _, path = text[len(_SCHEME) :].partition("/")
        path, _, query = path.partition("?")
        kind, _, code = path.partition("/")
        if kind != _INVITE_PATH:
            raise LinkBad(why="it has no /i/CODE")
        try:
            host, port = parse_address(address)
        except AddressBad as error:
            raise LinkBad(why="its address cannot be read") from error
        return cls(host, port, parse_code(code), _parse_id(query))

    def format(self) -> str:
        """Return the whole link, with its secret."""
        address = format_address(self.host, self.port)
        return f"{_SCHEME}{address}/{_INVITE_PATH}/{self.code}?id={self.id_prefix.hex().upper()}"

    def __eq__(self, other: object) -> bool:
        return self.format() == other.format() if isinstance(other, Link) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.format())

    def __repr__(self) -> str:
        return f"Link({format_address(self.host, self.port)}, code hidden)"


def invite_code(random17: bytes) -> str:
    """Return a new invite code from 17 random bytes, of which 130 bits are used.

    Raises ValueError if there are not 17 bytes.
    """
    size = -(-limits.INVITE_CODE_CHARS * 5 // 8)
    if len(random17) != size:
        raise ValueError(f"an invite code takes {size} random bytes, got {len(random17)}")
    bits = int.from_bytes(random17, "big")
    return "".join(_CROCKFORD[bits >> 5 * at & 31] for at in range(limits.INVITE_CODE_CHARS))


def parse_code(text: str) -> str:
    """Return an invite code as the server knows it, from what was copied or typed.

    Lower case, dashes and spaces are allowed; I and L are read as 1, O as 0.
    Raises LinkBad.
    """
    code = text[:_LINK_CHARS].upper().translate(_CROCKFORD_FORMS)
    if not set(code) <= set(_CROCKFORD):
        raise LinkBad(why="the invite code holds something else than letters and digits")
    if len(code) != limits.INVITE_CODE_CHARS:
        raise LinkBad(
            why=f"the invite code has {len(code)} characters, not {limits.INVITE_CODE_CHARS}"
        )
    return code


def parse_address(text: str, default_port: int = limits.PORT) -> tuple[str, int]:
    """Return host and port of ``HOST``, ``HOST:PORT``, ``[IPV6]`` or ``[IPV6]:PORT``.

    The host comes back in lower case, an IPv6 address in its shortest form and without brackets.
    Raises AddressBad.
    """
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise AddressBad(address=text, why="an IPv6 address is written [::1] or [::1]:7023")
        return _ipv6(text, host), _port(text, rest[1:]) if rest else default_port
    host, colon, port = text.partition(":")
    if ":" in port:
        raise AddressBad(address=text, why="an IPv6 address needs brackets, as in [::1]:7023")
    return _host_name(text, host), _port(text, port) if colon else default_port


def format_address(host: str, port: int) -> str:
    """Return ``HOST:PORT``, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _ipv6(text: str, host: str) -> str:
    from ipaddress import IPv6Address

    # A zone ("%eth0") means something on one machine only, and its text could be anything.
    if "%" not in host:
        try:
            return str(IPv6Address(host))
        except ValueError:
            pass
    raise AddressBad(address=text, why="this is no IPv6 address")


def _host_name(text: str, host: str) -> str:
    host = host.lower()
    if not host:
        raise AddressBad(address=text, why="it has no host")
    if len(host) > _HOST_CHARS:
        raise AddressBad(address=text, why="the host name is too long")
    for label in host.removesuffix(".").split("."):
        # No dash in front: a host that reads like an option must not reach a command line.
        if not 0 < len(label) <= _HOST_LABEL_CHARS or "-" in (label[0], label[-1]):
            raise AddressBad(address=text, why="a part of the host name is empty or too long")
        if not set(label) <= _HOST_SIGNS:
            raise AddressBad(address=text, why="a host name has letters, digits and dashes only")
    return host


def _port(text: str, port: str) -> int:
    # isdecimal alone would take digits of other scripts; the length bounds the conversion.
    if port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) <= _PORT_MAX:
        return int(port)
    raise AddressBad(address=text, why=f"a port is a number from 1 to {_PORT_MAX}")


def _parse_id(query: str) -> bytes:
    values = [
        value for key, _, value in (part.partition("=") for part in query.split("&")) if key == "id"
    ]
    if len(values) != 1:
        raise LinkBad(why="it has no server identity (id=...), or several")
    digits = values[0]
    if not set(digits) <= _HEX_DIGITS or len(digits) % 2:
        raise LinkBad(why="its server identity is not hexadecimal")
    if not limits.IDENTITY_PREFIX_BYTES <= len(digits) // 2 <= _DIGEST_BYTES:
        raise LinkBad(why="its server identity has not 32 to 64 digits")
    return bytes.fromhex(digits)
