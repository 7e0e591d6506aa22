"""Certificates: our own are right and short-lived, the operator's are refused with a reason."""

import datetime as dt
import stat
import subprocess
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa, x25519
from cryptography.x509.oid import ExtendedKeyUsageOID

from lairchat.model.faults import StartCertificate
from lairchat.transports.certificate import (
    DAY_MS,
    certificate_facts,
    load_certified_key,
    make_self_signed,
    parse_certified_key,
    spki_sha256,
    write_self_signed,
)
from tests.authority import Authority, pem_of_key
from tests.requirements import require

NOW = int(time.time()) * 1000


def test_what_the_self_signed_certificate_says() -> None:
    certified = parse_certified_key(*[make_self_signed("chat.example.org", NOW)] * 2, "tls.pem")
    facts = certified.facts
    assert facts.subject == facts.issuer == "CN=chat.example.org"
    assert facts.self_signed
    assert facts.key == "ECDSA P-256"
    assert facts.names == ("chat.example.org", "localhost", "127.0.0.1", "::1")
    assert facts.not_after - facts.not_before == 397 * DAY_MS
    assert facts.not_before == NOW - 3_600_000
    leaf = certified.chain[0]
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert facts.spki_sha256 == spki_sha256(leaf)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("b\u00fccher.example", "xn--bcher-kva.example"),
        ("localhost", "localhost"),
        (f"{'a' * 60}.{'b' * 60}.example", f"{'a' * 60}.{'b' * 60}.example"),
    ],
)
def test_the_host_may_be_an_address_or_any_name(host: str, name: str) -> None:
    pem = make_self_signed(host, NOW)
    names = parse_certified_key(pem, pem, "tls.pem").facts.names
    assert set(names) == {name, "localhost", "127.0.0.1", "::1"}
    assert len(names) == len(set(names))


@pytest.mark.parametrize("host", ["", "a..b", "x" * 200])
def test_a_computer_with_an_impossible_name_still_gets_a_certificate(host: str) -> None:
    pem = make_self_signed(host, NOW)
    facts = parse_certified_key(pem, pem, "tls.pem").facts
    assert facts.names == ("localhost", "127.0.0.1", "::1")
    assert facts.subject == f"CN={host[:64] or 'localhost'}"


def test_every_certificate_has_a_key_and_a_number_of_its_own() -> None:
    first, second = (
        parse_certified_key(pem, pem, "tls.pem")
        for pem in (make_self_signed("h", NOW), make_self_signed("h", NOW))
    )
    assert first.facts.spki_sha256 != second.facts.spki_sha256
    assert first.chain[0].serial_number != second.chain[0].serial_number


def test_due_for_renewal_thirty_days_before_the_end() -> None:
    pem = make_self_signed("h", NOW)
    facts = parse_certified_key(pem, pem, "tls.pem").facts
    due = facts.not_after - 30 * DAY_MS
    assert not facts.due_for_renewal(NOW)
    assert not facts.due_for_renewal(due - 1)
    assert facts.due_for_renewal(due)
    assert not facts.expired(NOW)
    assert facts.expired(facts.not_after + 1)
    assert facts.expired(facts.not_before - 1)


def test_written_with_its_key_into_one_private_file_and_renewed_there(tmp_path: Path) -> None:
    path = tmp_path / "tls.pem"
    first = write_self_signed(path, "chat.example.org", NOW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_certified_key(path, path).facts == first.facts
    renewed = write_self_signed(path, "chat.example.org", NOW + 370 * DAY_MS)
    assert load_certified_key(path, path).facts == renewed.facts
    assert renewed.facts.spki_sha256 != first.facts.spki_sha256
    assert [entry.name for entry in tmp_path.iterdir()] == ["tls.pem"]


def test_openssl_reads_it(tmp_path: Path) -> None:
    require("openssl")
    path = tmp_path / "tls.pem"
    write_self_signed(path, "chat.example.org", NOW)
    command = ["openssl", "x509", "-in", str(path), "-noout", "-checkhost", "chat.example.org"]
    shown = subprocess.run(
        [*command, "-checkip", "::1", "-purpose"], capture_output=True, text=True, check=True
    ).stdout
    assert "Hostname chat.example.org does match certificate" in shown
    assert "IP ::1 does match certificate" in shown
    assert "SSL server : Yes" in shown
    assert "SSL client : No" in shown


def test_the_key_is_not_in_any_repr(tmp_path: Path) -> None:
    pem = make_self_signed("h", NOW)
    shown = repr(parse_certified_key(pem, pem, "tls.pem"))
    assert "key=" in shown  # the facts' kind of key
    assert "PrivateKey" not in shown


def write(path: Path, data: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=["ECDSA secp384r1", "Ed25519", "RSA 2048"],
)
def test_an_operators_chain_is_read_leaf_first(tmp_path: Path, request, key) -> None:
    authority = Authority()
    pem = authority.issue("chat.example.org", "192.0.2.7", key=key)
    certificate = write(tmp_path / "fullchain.pem", pem[pem.index(b"-----BEGIN CERT") :])
    with certificate.open("ab") as file:
        file.write(authority.certificate)
    certified = load_certified_key(certificate, write(tmp_path / "privkey.pem", pem_of_key(key)))
    assert len(certified.chain) == 2
    assert certified.facts.names == ("chat.example.org", "192.0.2.7")
    assert certified.facts.issuer == "CN=Test CA"
    assert not certified.facts.self_signed
    assert certified.facts.key == request.node.callspec.id
    assert certified.where == str(certificate)


def test_a_group_such_as_ssl_cert_may_read_the_key_but_not_everybody(tmp_path: Path) -> None:
    pem = Authority().issue("h")
    assert load_certified_key(*[write(tmp_path / "tls.pem", pem, 0o640)] * 2).facts.names == ("h",)
    with pytest.raises(StartCertificate) as refused:
        load_certified_key(*[write(tmp_path / "tls.pem", pem, 0o644)] * 2)
    assert "everybody may read the key (mode 644)" in refused.value.text


def refusal(tmp_path: Path, chain: bytes | None, key: bytes | None) -> str:
    certificate_path, key_path = tmp_path / "fullchain.pem", tmp_path / "privkey.pem"
    for path, data in ((certificate_path, chain), (key_path, key)):
        if data is not None:
            write(path, data)
    with pytest.raises(StartCertificate) as refused:
        load_certified_key(certificate_path, key_path)
    assert refused.value.code == "LC-START-CERT"
    return refused.value.text


def encrypted_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )


GOOD = Authority().issue("h")


@pytest.mark.parametrize(
    ("chain", "key", "file", "why"),
    [
        (None, GOOD, "fullchain.pem", "No such file or directory"),
        (GOOD, None, "privkey.pem", "No such file or directory"),
        (b"", GOOD, "fullchain.pem", "it holds no PEM certificate"),
        (b"hello", GOOD, "fullchain.pem", "it holds no PEM certificate"),
        (GOOD[:-120], GOOD, "fullchain.pem", "it holds no PEM certificate"),
        (GOOD, b"hello", "privkey.pem", "it holds no PEM private key"),
        (GOOD, encrypted_key(), "privkey.pem", "the key has a passphrase"),
        (
            GOOD,
            pem_of_key(ec.generate_private_key(ec.SECP256R1())),
            "privkey.pem",
            "it is not the key of the first certificate",
        ),
        (
            GOOD,
            pem_of_key(x25519.X25519PrivateKey.generate()),
            "privkey.pem",
            "TLS 1.3 needs an ECDSA, Ed25519 or RSA key",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_with_file_and_reason(
    tmp_path: Path, chain: bytes | None, key: bytes | None, file: str, why: str
) -> None:
    text = refusal(tmp_path, chain, key)
    assert why in text
    assert file in text


def test_facts_of_unusual_certificates() -> None:
    """Another's certificate may have no names, a broken extension, or a key that is not for us."""
    authority = Authority()
    pem = authority.issue()
    assert parse_certified_key(pem, pem, "x").facts.names == ()
    key = dsa.generate_private_key(1024)
    name = x509.Name([])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now)
        .add_extension(
            x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"\xff"), critical=False
        )
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )
    facts = certificate_facts(certificate)
    assert facts.names == ()
    assert "DSA" in facts.key
