"""A whole client of lair/1, written from docs/protocol.rst alone: registers, writes, listens.

Usage: small_client.py LINK NAME PASSWORD TEXT
"""

import hashlib
import os
import socket
import ssl
import sys
import time
from urllib.parse import parse_qs, urlsplit

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_der_x509_certificate

pack, unpack = msgspec.msgpack.encode, msgspec.msgpack.decode


class Client:
    """One connection; keeps what arrives between an answer and the next."""

    def __init__(self, host: str, port: int) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # the identity statement proves who it is
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols(["lair/1"])
        raw = socket.create_connection((host, port), 15)
        self.tls = context.wrap_socket(raw, server_hostname=None)
        self.events: list[dict] = []
        self.ids = 0

    def send(self, frame: dict) -> None:
        body = pack(frame)
        self.tls.sendall(len(body).to_bytes(4, "big") + body)

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self.tls.recv(size - len(data))
            if not piece:
                raise SystemExit("the server closed the connection")
            data += piece
        return data

    def receive(self) -> dict:
        frame = unpack(self._read(int.from_bytes(self._read(4), "big")))
        if frame["t"] == "ping":
            self.send({"t": "pong", "n": frame["n"]})
        return frame

    def hello(self, pin: bytes) -> tuple[bytes, int]:
        """Greet, check who answers; returns the server's identity and its clock, ms."""
        self.send({"t": "hello", "versions": [1], "client": "small_client"})
        hello = self.receive()
        statement = hello["identity"]
        leaf = load_der_x509_certificate(self.tls.getpeercert(binary_form=True))
        spki = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        signed = b"lairchat server identity v1\x00" + hashlib.sha256(spki).digest()
        signed += statement["expires"].to_bytes(8, "big")
        Ed25519PublicKey.from_public_bytes(statement["key"]).verify(statement["signature"], signed)
        identity = hashlib.sha256(statement["key"]).digest()
        if not identity.startswith(pin) or statement["expires"] < time.time():
            raise SystemExit("this is another server")
        return identity, hello["now"]

    def ask(self, do: str, args: dict, key: bytes | None = None) -> dict:
        self.ids += 1
        frame = {"t": "cmd", "id": self.ids, "do": do, "args": args}
        self.send(frame if key is None else {**frame, "key": key})
        while True:
            answer = self.receive()
            if answer["t"] == "event":
                self.events.append(answer)
            elif answer.get("id") == self.ids:
                if answer["t"] == "error":
                    raise SystemExit(f"{answer['code']}  {answer['text']}")
                return answer["body"]


def secret_of(password: str, identity: bytes, name: str) -> bytes:
    label = b"lairchat password v1\x00"
    salt = hashlib.sha256(label + identity + name.lower().encode()).digest()[:16]
    stretched = Argon2id(salt=salt, length=32, iterations=3, lanes=4, memory_cost=65536).derive(
        password.encode()
    )
    return HKDFExpand(hashes.SHA256(), 32, b"lairchat authentication secret v1").derive(stretched)


def main(link: str, name: str, password: str, text: str) -> None:
    parts = urlsplit(link)
    pin = bytes.fromhex(parse_qs(parts.query)["id"][0])
    code = parts.path.removeprefix("/i/")
    client = Client(parts.hostname or "", parts.port or 7023)
    identity, now = client.hello(pin)
    secret = secret_of(password, identity, name)
    client.ask("account.register", {"name": name, "secret": secret, "invite": code})
    lobby = client.ask("room.join", {"name": "lobby"})
    key = now.to_bytes(6, "big") + os.urandom(10)
    body = pack({"type": "text", "text": text})
    sent = client.ask("message.send", {"room": lobby["room"], "body": body}, key)
    print(f"stored as number {sent['seq']}")
    page = client.ask("message.history", {"room": lobby["room"], "after": 0})
    for event in page["events"]:
        print(event["seq"], event["name"] or "--", unpack(event["body"]))
    client.send({"t": "bye"})


if __name__ == "__main__":
    main(*sys.argv[1:])
