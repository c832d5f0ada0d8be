"""Detectors x test sets x degradations -> scores.csv -> tables, plots, one page."""
