"""How a client keeps conversations that the server cannot read: payloads, rooms, keys at rest.

Everything is pure: states go in, states come out; the client's store and link do the rest.
The server never imports it.
"""
