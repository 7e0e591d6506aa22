"""What operators type and read: one grammar, one console, for the SSH shell and for lairctl."""
