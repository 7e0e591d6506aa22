"""Rooms as operators see them."""
