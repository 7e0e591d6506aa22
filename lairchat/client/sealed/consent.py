"""Into which private rooms this device lets itself be led: where the person has agreed to be.

A server, or anybody with a key package of ours, could lead us into a room of theirs that looks like
another.  What was agreed to on one device counts on all others: it says so in the room itself.
"""

from typing import TYPE_CHECKING

from lairchat.mls.objects import Lifetime
from lairchat.mls.transition import PublicGroup
from lairchat.trust.structure import identity_of

if TYPE_CHECKING:
    from lairchat.client.sealed.service import Sealed


class Consent:
    """What this account has agreed to."""

    def __init__(self, sealed: "Sealed") -> None:
        self._sealed = sealed

    def is_given(self, room: int, group: PublicGroup, signer: int) -> bool:
        """Tell whether somebody of this account has agreed to be in a group; its tree was checked.

        signer: the leaf that signed what led here: a welcome's or the server's group information.
        """
        return self._sealed.invitations.agreed(
            room, taking_part(group, signer)
        ) or self.is_taking_part(group, signer)

    def is_taking_part(self, group: PublicGroup, signer: int) -> bool:
        """Tell whether a device of this account takes part in a group, or has before a crash.

        It has signed something for this very group: what led here, or its leaf, once it has committed.
        Who only has its key package can add it, and can make neither.
        """
        return self._sealed.require_own().identity.account in taking_part(group, signer)


def taking_part(group: PublicGroup, signer: int) -> set[bytes]:
    """Return the accounts that have signed something for a group, beyond the key packages of theirs.

    So has an inviter, too: else whoever added us could add the inviter's key package as well.
    """
    return {
        identity_of(leaf).account
        for index, leaf in group.tree.members()
        if index == signer or not isinstance(leaf.source, Lifetime)
    }
