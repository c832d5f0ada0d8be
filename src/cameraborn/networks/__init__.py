"""Torch modules: maps from tensors to tensors; no files, no data."""
