"""Detectors that have also seen generated pictures."""
