"""Lair Chat is a self-hosted chat for terminals: one Twisted daemon and a curses client.

The packages below say in their own docstrings what they are for; ``docs/architecture.rst`` is the
map of who may import whom, and ``tests/test_layers.py`` holds everybody to it.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
