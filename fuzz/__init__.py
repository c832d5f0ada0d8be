"""Fuzzing of every parser: `corpus` makes what is mutated, `targets` reads it, `python -m fuzz` runs atheris."""
