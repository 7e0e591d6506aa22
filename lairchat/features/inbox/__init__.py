"""A log for each certified device: welcomes into encrypted rooms, linking, verification."""
