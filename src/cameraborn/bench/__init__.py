"""Detectors x test sets x degradations -> scores.csv."""
