"""What a picture is and says of itself: pixels, EXIF, faces, manifests. No torch here."""
