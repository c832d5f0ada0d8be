"""What a picture is and says of itself: pixels, EXIF, faces. No torch here."""
