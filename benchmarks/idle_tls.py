"""What an idle TLS connection costs in memory, for several ways of serving it.

    python benchmarks/idle_tls.py [--connections 2000] [VARIANT ...]

Each variant runs in a server process of its own; this process opens the connections (TLS 1.3,
X25519MLKEM768), exchanges one small message on each, and reads the growth of the server's resident
memory from /proc. One JSON line per variant; nothing passes or fails.
"""

import argparse
import gc
import json
import platform
import socket
import subprocess
import sys
import time
from pathlib import Path

VARIANTS = {
    "stock": "TLSMemoryBIOFactory as Twisted makes it (second write buffer), buffers released",
    "stock-keeping-buffers": "the same without MODE_RELEASE_BUFFERS",
    "ours": "lairchat.transports.tls: no second buffer, one timer for all handshakes",
    "timer-each": "ours, and a DelayedCall of its own for every connection",
    "deferred-each": "ours, and a Deferred of its own for every connection",
    "unreleased": "ours, without giving back what the handshake made the BIOs grow to",
    "history": "ours, after 16 KiB were sent to every connection",
    "history-unreleased": "the same without giving back",
    "classical": "ours, with clients that only know X25519 (Python's ssl module)",
    "framed-classical": "the real FramedProtocol, with clients that only know X25519",
    "framed": "ours, with the real FramedProtocol, ServerSession and Peer inside",
}


def serve(variant: str) -> None:
    """Serve one variant on a free port; print port, and memory whenever asked on standard input."""
    from twisted.internet import reactor
    from twisted.internet.defer import Deferred
    from twisted.internet.protocol import Factory, Protocol
    from twisted.internet.stdio import StandardIO
    from twisted.protocols.basic import LineReceiver
    from twisted.protocols.tls import TLSMemoryBIOFactory

    from lairchat.transports import tls
    from lairchat.transports.certificate import make_self_signed, parse_certified_key

    class Idle(Protocol):
        __slots__ = ("connected", "factory", "timer", "transport")

        def connectionMade(self) -> None:
            if variant == "timer-each":
                self.timer = reactor.callLater(3600, self.transport.abortConnection)
            elif variant == "deferred-each":
                self.timer = Deferred()
                self.timer.addBoth(lambda _: None)

        def dataReceived(self, data: bytes) -> None:
            self.transport.write(data + bytes(16_000 if "history" in variant else 0))

    pem = make_self_signed("localhost", int(time.time() * 1000))
    context = tls.ServerTLS(parse_certified_key(pem, pem, "tls.pem"))
    if variant == "stock-keeping-buffers":
        from OpenSSL import SSL

        context.credential.context.clear_mode(SSL.MODE_RELEASE_BUFFERS)
    inner = Factory.forProtocol(Idle)
    inner.noisy = False
    if variant.startswith("framed"):
        inner = framed_factory(reactor)
    if variant.startswith("stock"):
        factory = TLSMemoryBIOFactory(context, False, inner, reactor)
    else:
        factory = context.wrap(inner, reactor)
    if variant.endswith("unreleased"):
        tls.release_buffers = lambda _: True

    class Questions(LineReceiver):
        delimiter = b"\n"

        def lineReceived(self, _: bytes) -> None:
            gc.collect()
            gc.freeze()
            self.sendLine(json.dumps({"kib": resident_kib()}).encode())

        def connectionLost(self, _: object) -> None:
            if reactor.running:
                reactor.stop()

    port = reactor.listenTCP(0, factory, backlog=1024, interface="127.0.0.1")
    questions = Questions()
    StandardIO(questions)
    questions.sendLine(json.dumps({"port": port.getHost().port}).encode())
    reactor.run()


def framed_factory(reactor: object) -> object:
    """Return the real framed transport, with a kernel that nobody asks anything."""
    from twisted.internet.protocol import Factory

    from lairchat.transports.framed import FramedProtocol, Greeting
    from lairchat.wire.objects import IdentityStatement

    class Hub:
        def wake(self, peer: object) -> None:
            peer.flush()

        def detach(self, _: object) -> None:
            pass

    class Kernel:
        hub = Hub()
        now = staticmethod(lambda: 0)

    class Bare(Factory):
        kernel = Kernel()
        clock = reactor
        noisy = False
        strangers: set[object] = set()
        greeting = Greeting(
            server="benchmark",
            name="benchmark",
            registration="open",
            prove=lambda _: IdentityStatement(bytes(32), 0, bytes(64)),
            limits_in_force={},
        )

        def buildProtocol(self, _: object) -> FramedProtocol:
            return FramedProtocol(self, "127.0.0.1")

        def gone(self, _: object) -> None:
            pass

    return Bare()


def resident_kib() -> int:
    """Return this process's private resident memory."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def connect(port: int, variant: str, message: bytes) -> tuple[object, socket.socket]:
    """Open one connection and have one small message answered."""
    from OpenSSL import SSL

    if variant.endswith("classical"):
        return connect_classical(port, message)
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_alpn_protos([b"lair/1"])
    raw = socket.create_connection(("127.0.0.1", port))
    connection = SSL.Connection(context, raw)
    connection.set_connect_state()
    connection.do_handshake()
    assert connection.get_group_name() == "X25519MLKEM768"
    connection.sendall(message)
    answer = len(connection.recv(2**15))
    while "history" in variant and answer < 16_000:
        answer += len(connection.recv(2**15))
    return connection, raw


def connect_classical(port: int, message: bytes) -> tuple[object, socket.socket]:
    """The same through the system's OpenSSL, which has no ML-KEM before 3.5."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = context.wrap_socket(socket.create_connection(("127.0.0.1", port)))
    connection.sendall(message)
    assert connection.recv(100)
    return connection, connection


def measure(variant: str, count: int) -> dict[str, object]:
    """Run one variant and return its figures."""
    from lairchat.wire import codec
    from lairchat.wire.objects import ClientHello

    server = subprocess.Popen(
        [sys.executable, __file__, "--serve", variant],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )

    def ask() -> int:
        server.stdin.write("memory\n")
        return json.loads(server.stdout.readline())["kib"]

    port = json.loads(server.stdout.readline())["port"]
    message = b"hello"
    if variant.startswith("framed"):
        message = codec.encode(ClientHello(versions=[1]))
    # What the first connections cost once (imports, caches, pools) is not theirs.
    connections = [connect(port, variant, message) for _ in range(50)]
    time.sleep(6)  # what is given back is given back after five seconds
    before = ask()
    begun = time.perf_counter()
    connections += [connect(port, variant, message) for _ in range(count)]
    seconds = time.perf_counter() - begun
    time.sleep(6)
    after = ask()
    for _, raw in connections:
        raw.close()
    server.stdin.close()
    server.wait()
    return {
        "variant": variant,
        "kib_per_connection": round((after - before) / count, 2),
        "connections": count,
        "generator": "one Python process, blocking sockets",
        "server_mib_before": round(before / 1024, 1),
        "seconds_to_open": round(seconds, 2),
        "python": platform.python_version(),
        "what": VARIANTS[variant],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("variants", nargs="*", metavar="VARIANT", help=", ".join(VARIANTS))
    parser.add_argument("--connections", type=int, default=2000)
    parser.add_argument("--serve", choices=VARIANTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    for variant in options.variants or VARIANTS:
        print(json.dumps(measure(variant, options.connections)), flush=True)


if __name__ == "__main__":
    main()
