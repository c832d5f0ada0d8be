"""Work over many inputs, in order."""
