"""systemd is told, over a real datagram socket, by a real daemon."""

import os
import socket
import tempfile
from pathlib import Path
from unittest import TestCase

from lairchat.notify import ALIVE, READY, STOPPING, Notifier
from tests.blackbox.daemon import DaemonTest


def listener(path: Path) -> socket.socket:
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind(str(path))
    server.settimeout(10)
    return server


class Telling(TestCase):
    def setUp(self) -> None:
        self.directory = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="lair-test-")))

    def test_a_path_and_an_abstract_address(self) -> None:
        path = self.directory / "notify"
        with listener(path) as manager:
            Notifier({"NOTIFY_SOCKET": str(path)}).tell(READY, "STATUS=ready")
            self.assertEqual(manager.recv(100), b"READY=1\nSTATUS=ready")
        name = f"lair-test-{os.getpid()}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(f"\0{name}")
            manager.settimeout(10)
            Notifier({"NOTIFY_SOCKET": f"@{name}"}).tell(ALIVE)
            self.assertEqual(manager.recv(100), b"WATCHDOG=1")

    def test_nobody_listens(self) -> None:
        for way in ("", str(self.directory / "gone"), "relative"):
            with self.subTest(way):
                Notifier({"NOTIFY_SOCKET": way}).tell(READY)
        self.assertEqual(list(self.directory.iterdir()), [])

    def test_the_watchdog_is_for_one_process(self) -> None:
        for environ, interval in (
            ({}, None),
            ({"WATCHDOG_USEC": "30000000"}, 15.0),
            ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 15.0),
            ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
            ({"WATCHDOG_USEC": "0"}, None),
            ({"WATCHDOG_USEC": "soon"}, None),
            ({"WATCHDOG_USEC": "1", "WATCHDOG_PID": "me"}, None),
        ):
            with self.subTest(environ):
                self.assertEqual(Notifier(environ, pid=7).interval, interval)


class UnderSystemd(DaemonTest):
    autostart = False

    def test_ready_alive_stopping(self) -> None:
        path = self.directory / "notify"
        with listener(path) as manager:
            self.server._environ |= {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "200000"}
            self.server.start()
            told = [manager.recv(1_000).decode() for _ in range(4)]
            self.assertEqual(told, [READY, ALIVE, ALIVE, ALIVE])
            self.server.stop()
            manager.settimeout(1)
            while told[-1] == ALIVE:
                told.append(manager.recv(1_000).decode())
            self.assertEqual(told[-1], STOPPING)
