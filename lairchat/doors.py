"""The operators' doors: SSH, lairctl's socket, HTTP; each a service on the one command table.

Part of the composition root (see tap.py).
"""

from twisted.application.service import IService

from lairchat.core.kernel import Kernel
from lairchat.layout import Layout


class Doors:
    """Builds the doors that the configuration asks for, and says where they listen.

    services: to be started and stopped with the daemon.
    """

    def __init__(self, reactor: object, layout: Layout, kernel: Kernel) -> None:
        self._reactor = reactor
        self._layout = layout
        self._kernel = kernel
        self.services: list[IService] = []

    def places(self) -> list[str]:
        """Return a word for each listening door, such as ``ssh 127.0.0.1:7024``."""
        return []
