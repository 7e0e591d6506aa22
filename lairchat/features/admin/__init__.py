"""Running the server: its state, notices, certificate, log and configuration."""
