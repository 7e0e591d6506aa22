"""Public keys by which operators are let into the shell."""
