"""Who is at the other end of an authenticated connection."""

from lairchat.model.ids import DeviceId, SessionId, UserId
from lairchat.model.roles import ServerRole


class Session:
    """An authenticated device of a user; several connections may share one session."""

    __slots__ = ("device", "id", "name", "role", "user")

    def __init__(
        self,
        id: SessionId,  # noqa: A002
        user: UserId,
        device: DeviceId,
        name: str,
        role: ServerRole,
    ) -> None:
        self.id = id
        self.user = user
        self.device = device
        self.name = name
        self.role = role

    def __repr__(self) -> str:
        """Name the session for logs."""
        return f"<Session {self.id} user={self.user} device={self.device} role={self.role.name}>"
