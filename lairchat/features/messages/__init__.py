"""Messages: sending, history, catching up, read cursors."""
