"""Whether a server is the one that is known here: by its pin, by a link, or by the user's word.

Promises not to know: how a server proves who it is (tls.py), how connections are made.
"""

from typing import TYPE_CHECKING

from lairchat.client import effects, inputs
from lairchat.model.identity import ServerId

if TYPE_CHECKING:
    from lairchat.client.link import Link


async def recognised(link: "Link", server: ServerId) -> bool:
    """Tell whether this identity is accepted, and remember it; False ends it, and was reported.

    A link never replaces what is remembered: whoever can make somebody follow a link could
    otherwise put a server of their own in the place of the one that is known here.
    """
    target, known = link.target, link.known
    pin = known.pin(target.host, target.port)
    for expected in (pin.digest if pin is not None else b"", target.id_prefix):
        if expected and not server.matches(expected):
            link.deliver(_changed(expected, server))
            return False
    if pin is not None:
        return True
    if not target.id_prefix and not link.dialer.vouched and not await _confirmed(link, server):
        return False
    known.remember(target.host, target.port, server)
    link.must_be_connected()
    return True


async def _confirmed(link: "Link", server: ServerId) -> bool:
    """Ask the user, who compares the words, however long that takes."""
    words = " ".join(server.words())
    link.deliver(
        inputs.TrustQuestion(link.target.host, link.target.port, words, server.fingerprint)
    )
    answer = await link.ask_user()
    return isinstance(answer, effects.TrustAnswer) and answer.trusted


def _changed(expected: bytes, server: ServerId) -> inputs.IdentityChanged:
    old = ServerId(expected.ljust(32, b"\x00"))
    # Of a link's prefix only what it carries is shown.
    fingerprint = expected.hex(":").upper() + ("" if len(expected) == 32 else ":...")
    return inputs.IdentityChanged(
        " ".join(old.words()), " ".join(server.words()), fingerprint, server.fingerprint
    )
