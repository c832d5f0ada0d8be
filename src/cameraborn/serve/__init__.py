"""The detector behind HTTP: the rows of `score`, explanations, and what operators ask."""
