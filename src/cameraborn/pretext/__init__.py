"""What is learnt from photographs alone."""
