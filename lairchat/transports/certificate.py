"""The TLS certificate: made here, or read from the operator's PEM files.

Clients pin the server's identity (identity.py), never this certificate, so it renews freely,
each time with a new key.
Promises not to know: connections.
"""

import contextlib
import datetime as dt
import hashlib
import ipaddress
import math
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lairchat.model.faults import StartCertificate
from lairchat.transports.keyfiles import TooOpenError, read_private, write_private

CERTIFICATE_DAYS = 397
"""days: the longest life that CAs and browsers accept for a server (CA/B baseline 6.3.2)."""
RENEWAL_DAYS = 30
"""days: how long before its end a certificate is due for renewal."""
BACKDATED = dt.timedelta(hours=1)
"""How far the start lies in the past, because clocks differ."""
DAY_MS = 86_400_000
OTHERS_MAY_READ = 0o007
"""Permission bits refused on an operator's key; a group such as Debian's ssl-cert may read it."""

ServerKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What people want to know of a certificate; times in ms since 1970."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    key: str
    not_before: int
    not_after: int
    self_signed: bool
    spki_sha256: bytes

    def due_for_renewal(self, now: int) -> bool:
        """Tell whether at ``now`` (ms) fewer than :data:`RENEWAL_DAYS` are left."""
        return now >= self.not_after - RENEWAL_DAYS * DAY_MS

    def expired(self, now: int) -> bool:
        """Tell whether the certificate has ended, or not begun, at ``now`` (ms)."""
        return not self.not_before <= now <= self.not_after


@dataclass(frozen=True, slots=True)
class CertifiedKey:
    """A certificate chain, leaf first, with the leaf's private key, and where it was found."""

    chain: tuple[x509.Certificate, ...]
    facts: CertificateFacts
    key: ServerKey = field(repr=False)
    where: str


def spki_sha256(certificate: x509.Certificate) -> bytes:
    """Return the SHA-256 of a certificate's SubjectPublicKeyInfo in DER, 32 bytes."""
    spki = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(spki).digest()


def certificate_facts(certificate: x509.Certificate) -> CertificateFacts:
    """Return what people want to know of this certificate."""
    return CertificateFacts(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        names=_alternative_names(certificate),
        key=_key_name(certificate),
        not_before=_milliseconds(certificate.not_valid_before_utc),
        not_after=_milliseconds(certificate.not_valid_after_utc),
        self_signed=certificate.subject == certificate.issuer,
        spki_sha256=spki_sha256(certificate),
    )


def make_self_signed(host: str, now: int) -> bytes:
    """Return a new ECDSA P-256 key and its self-signed certificate as one PEM text.

    host: DNS name or IP address by which people reach this server; localhost, 127.0.0.1 and ::1
    are always added to the names.
    now: ms since 1970; the certificate is valid for :data:`CERTIFICATE_DAYS` from about then.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    start = dt.datetime.fromtimestamp(now / 1000, dt.UTC) - BACKDATED
    # RFC 5280, A.1: a common name has 1 to 64 characters. Nothing verifies it.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64] or "localhost")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=CERTIFICATE_DAYS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_SIGNS_HANDSHAKES, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_general_names(host)), critical=False)
        .sign(key, hashes.SHA256())
    )
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ) + certificate.public_bytes(serialization.Encoding.PEM)


def write_self_signed(path: Path, host: str, now: int) -> CertifiedKey:
    """Make a certificate and write it with its key into one file of mode 0600.

    One file, because a crash between two would leave a certificate without its key.
    Renewing is the same: the file is replaced whole.
    """
    pem = make_self_signed(host, now)
    write_private(path, pem, replace=True)
    return parse_certified_key(pem, pem, str(path))


def load_certified_key(certificate: Path, key: Path) -> CertifiedKey:
    """Read the operator's PEM files; both may be the same file.

    Raises StartCertificate, which says what is wrong with which file.
    """
    try:
        chain_pem = certificate.read_bytes()
        key_pem = read_private(key, forbidden=OTHERS_MAY_READ)
    except TooOpenError as error:
        raise StartCertificate(
            path=key, why=f"everybody may read the key (mode {error.mode:o})"
        ) from None
    except OSError as error:
        path = error.filename or key
        raise StartCertificate(path=path, why=error.strerror or str(error)) from None
    return parse_certified_key(chain_pem, key_pem, str(certificate), str(key))


def parse_certified_key(
    chain_pem: bytes, key_pem: bytes, where: str, key_where: str | None = None
) -> CertifiedKey:
    """Read a certificate chain and the leaf's private key from PEM.

    where, key_where: what StartCertificate, raised when they do not fit, calls them.
    """
    key_where = key_where or where
    try:
        chain = tuple(x509.load_pem_x509_certificates(chain_pem))
    except ValueError:
        raise StartCertificate(path=where, why="it holds no PEM certificate") from None
    key = _load_key(key_pem, key_where)
    leaf = chain[0]
    if leaf.public_key() != key.public_key():
        why = "it is not the key of the first certificate"
        raise StartCertificate(path=key_where, why=why)
    return CertifiedKey(chain, certificate_facts(leaf), key, where)


def require_current(certified: CertifiedKey, now: int) -> None:
    """Refuse a certificate that has ended or not begun at ``now`` (ms); raises StartCertificate."""
    facts = certified.facts
    if facts.expired(now):
        verb, moment = (
            ("ended", facts.not_after) if now > facts.not_after else ("begins", facts.not_before)
        )
        day = dt.datetime.fromtimestamp(moment / 1000, dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
        raise StartCertificate(path=certified.where, why=f"it {verb} {day}")


_SIGNS_HANDSHAKES = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def _load_key(pem: bytes, where: str) -> ServerKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError:
        why = "the key has a passphrase, which nobody could type at start"
        raise StartCertificate(path=where, why=why) from None
    except (ValueError, UnsupportedAlgorithm):
        raise StartCertificate(path=where, why="it holds no PEM private key") from None
    if not isinstance(key, ServerKey):
        why = "TLS 1.3 needs an ECDSA, Ed25519 or RSA key"
        raise StartCertificate(path=where, why=why)
    return key


def _general_names(host: str) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = []
    for name in dict.fromkeys([host, "localhost", "127.0.0.1", "::1"]):
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            # A computer's own name may be nothing that DNS allows: then it goes without.
            with contextlib.suppress(ValueError):
                names.append(x509.DNSName(_dns_name(name)))
    return names


def _dns_name(name: str) -> str:
    """Return a name as it stands in certificates, or raise ValueError."""
    ascii_name = name.encode("idna").decode("ascii")
    if not ascii_name:
        raise ValueError("a name has at least one character")
    return ascii_name


def _alternative_names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return ()
    names = extension.value
    return (
        *names.get_values_for_type(x509.DNSName),
        *map(str, names.get_values_for_type(x509.IPAddress)),
    )


def _key_name(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "ECDSA P-256" if key.curve.name == "secp256r1" else f"ECDSA {key.curve.name}"
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    return "Ed25519" if isinstance(key, ed25519.Ed25519PublicKey) else type(key).__name__


def _milliseconds(moment: dt.datetime) -> int:
    return math.floor(moment.timestamp() * 1000)
