"""Bans from the whole server: addresses, networks, accounts."""
