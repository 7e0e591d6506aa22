"""How people are called on the screen, and by which number the server knows them."""

from typing import TYPE_CHECKING

from lairchat.model.names import name_key

if TYPE_CHECKING:
    from lairchat.client.sealed.service import Sealed


class Names:
    """What the server says of names; whose a name is, the log of the account says."""

    def __init__(self, sealed: "Sealed") -> None:
        self._sealed = sealed
        self._names: dict[str, str] = {}
        self._users: dict[str, int] = {}

    def note(self, user: int, name: str) -> None:
        """Note how the server writes a name, which is shown if it is the one of the account."""
        if name:
            self._names[name_key(name)] = name
            self._users[name_key(name)] = user

    def shown(self, account: bytes) -> str:
        """Return an account's name as it is shown; the log decides which, the server how it is written."""
        own = self._sealed.own
        if own is not None and own.identity.account == account:
            return self._sealed.name
        name = self._sealed.directory.name_of(account)
        return self._names.get(name, name)

    def user(self, room: int, account: bytes) -> int | None:
        """Return the server's number of an account's user."""
        own = self._sealed.own
        if own is not None and own.identity.account == account:
            return self._sealed.session.user
        info = self._sealed.link.rooms.infos.get(room)
        name = self._sealed.directory.name_of(account)
        if info is not None and info.kind == "direct" and name_key(info.name) == name:
            return info.peer
        return self._users.get(name)
