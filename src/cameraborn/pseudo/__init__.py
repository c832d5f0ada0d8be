"""Pseudo-fakes: photographs that were manipulated or reconstructed."""
