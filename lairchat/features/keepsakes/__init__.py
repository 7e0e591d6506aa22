"""What an account keeps on the server for its own devices, sealed: the backup of encrypted rooms."""
