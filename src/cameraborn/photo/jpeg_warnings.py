"""What libjpeg-turbo warns of while it reads a JPEG, which Pillow keeps to itself: codes without sense, data left over.

Asked through simplejpeg, at an eighth of the size and in grey, which takes less than to decode it.
"""

from __future__ import annotations

_OF_DATA = ("Corrupt JPEG data", "Premature end")


def warns_of_data(data: bytes) -> bool:
    """Whether the decoder warns of the compressed data of a JPEG; what it cannot read so is nothing to warn of."""
    import simplejpeg

    try:
        simplejpeg.decode_jpeg(
            data, "GRAY", fastdct=True, fastupsample=True, min_height=1, min_width=1, strict=True
        )
    except ValueError as error:
        return str(error).startswith(_OF_DATA)
    return False
