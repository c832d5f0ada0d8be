"""Pictures with metadata, written byte by byte as the programs write them."""

import gzip
import struct
import zlib
from io import BytesIO

import numpy as np
from PIL import Image

from tests.photo.test_exif import ASCII, UNDEFINED

PIXELS = (np.add.outer(np.arange(48), np.arange(64)) * 2).astype(np.uint8)
PICTURE = Image.fromarray(PIXELS).convert("RGB")


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(*chunks, picture=PICTURE, behind=()):
    """A PNG with these chunks in front of its pixels, and others behind them."""
    out = BytesIO()
    picture.save(out, "PNG")
    data = out.getvalue()
    return data[:33] + b"".join(chunks) + data[33:-12] + b"".join(behind) + data[-12:]


def text(keyword, value):
    return chunk(b"tEXt", keyword.encode() + b"\0" + value.encode("latin-1"))


def international(keyword, value, *, compressed=False):
    body = zlib.compress(value.encode()) if compressed else value.encode()
    return chunk(b"iTXt", keyword.encode() + b"\0" + bytes([compressed]) + b"\0\0\0" + body)


def raw_profile(name, body):
    """A profile as ImageMagick writes it into a PNG."""
    digits = body.hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    packed = zlib.compress(f"\n{name}\n{len(body):8}\n{lines}\n".encode())
    return chunk(b"zTXt", b"Raw profile type " + name.encode() + b"\0\0" + packed)


def jpeg(*segments, exif=None, picture=PICTURE, **settings):
    """A JPEG with these segments, (marker, body), behind its beginning."""
    out = BytesIO()
    picture.save(out, "JPEG", **settings)
    parts = [(0xE1, exif)] if exif else []
    written = b"".join(
        struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body for marker, body in (*parts, *segments)
    )
    return out.getvalue()[:2] + written + out.getvalue()[2:]


def saved(format, **settings):
    out = BytesIO()
    PICTURE.save(out, format, **settings)
    return out.getvalue()


def ascii_tag(tag, value):
    return (tag, ASCII, value.encode() + b"\0")


def user_comment(value, *, order="utf-16-be"):
    return (0x9286, UNDEFINED, b"UNICODE\0" + value.encode(order))


def stealth(value, name):
    """The picture with a text in its lowest bits, as NovelAI writes it: column by column."""
    body = gzip.compress(value.encode()) if name.endswith("comp") else value.encode()
    message = name.encode() + struct.pack(">I", 8 * len(body)) + body
    bits = np.unpackbits(np.frombuffer(message, np.uint8))
    channels = slice(3, 4) if "png" in name else slice(0, 3)
    pixels = np.array(PICTURE.resize((96, 64)).convert("RGBA"))
    columns = np.ascontiguousarray(pixels[:, :, channels].transpose(1, 0, 2))
    flat = columns.reshape(-1)
    flat[: len(bits)] = flat[: len(bits)] & 0xFE | bits
    pixels[:, :, channels] = columns.transpose(1, 0, 2)
    return Image.fromarray(pixels)


def xmp(properties="", attributes=""):
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
        ' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"'
        ' xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"'
        ' xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"'
        ' xmlns:stEvt="http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"'
        ' xmlns:ext="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        f' xmlns:TC260="http://www.tc260.org.cn/ns/AIGC/1.0/" {attributes}>{properties}</rdf:Description></rdf:RDF>'
        '</x:xmpmeta><?xpacket end="w"?>'
    )


def xmp_segment(packet):
    return (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet.encode())


def iim_segment(*sets):
    """Photoshop's resources with IPTC data sets, (number, value) of record 2."""
    body = b"".join(b"\x1c\x02" + struct.pack(">BH", number, len(value)) + value for number, value in sets)
    body += b"\0" * (len(body) % 2)
    return (0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(body)) + body)


def box(kind, payload):
    return struct.pack(">I", len(payload) + 8) + kind + payload


def superbox(label, *content, uuid=bytes(16)):
    return box(b"jumb", box(b"jumd", uuid + b"\3" + label.encode() + b"\0") + b"".join(content))


def store(*manifests):
    return superbox("c2pa", *manifests)


def app11(data, part=60_000):
    """JPEG segments of a box, the header of which is repeated in each (ISO 19566-5, D.2)."""
    header, rest = data[:8], data[8:]
    parts = [rest[at : at + part] for at in range(0, len(rest), part)]
    return [(0xEB, b"JP\0\1" + struct.pack(">I", n) + header + body) for n, body in enumerate(parts, start=1)]


def with_xmp(properties="", attributes=""):
    return jpeg(xmp_segment(xmp(properties, attributes)))


SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/"
