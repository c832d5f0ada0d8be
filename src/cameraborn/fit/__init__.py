"""From photographs to a detector; works without torch."""
