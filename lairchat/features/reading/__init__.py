"""How far an account has read its encrypted rooms, sealed, passed between its own devices."""
