"""Evidence channels: one reason to doubt a picture a file."""
