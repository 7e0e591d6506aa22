"""Who is here, for those who share a room."""
