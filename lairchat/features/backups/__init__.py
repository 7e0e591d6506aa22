"""Keeping the database: backups, proven and put back; checks; vacuum."""
