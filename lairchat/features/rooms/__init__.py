"""Rooms, direct conversations and who is in them."""
