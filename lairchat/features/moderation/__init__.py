"""Kicks and bans."""
