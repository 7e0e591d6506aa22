"""People as operators see them: accounts, locks, roles, sessions."""
