"""Messaging Layer Security, RFC 9420, without input or output: a library that knows nothing of chat.

Operations take a state and return a new one; nothing is changed in place, so a failed operation, or
one whose result is thrown away, leaves no trace.
Randomness comes in as a function, except what ``cryptography`` draws for itself (encapsulation).
"""
