"""Names of what was done to a picture, where more than one room says them."""

REDRAWN = "redrawn"  # by an autoencoder
