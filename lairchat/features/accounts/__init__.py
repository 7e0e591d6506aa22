"""Accounts, sessions and invites."""
