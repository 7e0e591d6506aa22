"""Who is who, and what is believed of them: pure, for client and server alike.

An account is a log of signed entries that begins with its root (``root``, ``entry``, ``log``); the
log certifies the devices that may stand in an encrypted room (``leaf``).
What a person has seen and compared decides what their client sends (``pins``, ``locks``,
``verification``, ``safety_number``, ``qr``).

Promises not to know: the clock, chance, sockets, files; what needs one takes it as an argument,
except ML-DSA, whose signatures ``cryptography`` randomises by itself.
"""
