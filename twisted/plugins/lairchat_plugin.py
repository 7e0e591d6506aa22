"""Tell twistd about Lair Chat: ``twistd lairchat`` starts the daemon of lairchat/tap.py."""

from twisted.application.service import ServiceMaker

lairchat = ServiceMaker(
    "Lair Chat",
    "lairchat.tap",
    "A self-hosted chat for terminals, over TLS 1.3.",
    "lairchat",
)
