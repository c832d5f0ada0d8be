"""Names of what was done to a picture, where more than one room says them."""

RECONSTRUCTED = "reconstructed"  # by an autoencoder
