"""The encrypted side of the client's link: this device, who is who, and its encrypted rooms.

Each module answers for one of these; :class:`lairchat.client.sealed.service.Sealed` holds them together
and is all that the link knows.
"""
