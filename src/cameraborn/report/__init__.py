"""From a benchmark's scores to tables, plots and a page."""
