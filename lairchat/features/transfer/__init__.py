"""Chunked transfer of what is larger than a frame."""
