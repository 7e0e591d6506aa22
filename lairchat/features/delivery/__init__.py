"""Encrypted rooms: groups, the order of their commits, the public part of what they hold."""
