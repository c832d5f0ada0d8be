"""What a user runs: mixture, p-values, bundles, the detector. No torch here."""
