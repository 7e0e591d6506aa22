"""The server's kernel: commands in, events out, no sockets and no SQL."""
