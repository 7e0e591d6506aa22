"""What the server and the client can do, one folder a feature."""
