"""Bytes in and out: listening, TLS and the server's identity, framed sessions."""
