"""Endings of names that no table gets: a swapped argument would leave text where a picture or a video is looked for."""

from __future__ import annotations

import mimetypes
import re

from cameraborn.photo.decode import SUPPORTED_EXTENSIONS

# Besides those of which Python or the system knows that they are a picture's, a video's or a sound's.
_PICTURES = """
apng avci avif avifs bpg cur dcm dcx dds dib djvu dpx emf eps exr fit fits flif fts gif hdp hdr heic heics heif heifs
hif icb icns ico iff ilbm insp j2c j2k jbg jbig jfi jfif jif jng jp2 jpc jpe jpf jpm jps jpx jxl jxr jxs kra lbm mng mpo
ora pam pbm pcd pct pcx pdf pdn pfm pgm pict pjp pjpeg pjpg pnm pns ppm psb psd qoi ras rgb rgba rgbe rle sgi svg svgz
targa tga thm tpic vda vst wbmp wdp wmf xbm xcf xpm xwd
"""
_RAWS = """
3fr ari arw bay braw cap cin cine cr2 cr3 crw cs1 dc2 dcr dng drf eip erf fff gpr iiq k25 kc2 kdc mdc mef mfw mos mrw
nef nrw obm orf ori pef ptx pxn qtk r3d raf raw rw2 rwl rwz sr2 srf srw sti x3f
"""
_VIDEOS = """
3g2 3gp amv asf avi divx dv f4v flv gifv h264 h265 hevc insv ivf lrv m1v m2t m2ts m2v m4v mj2 mjpeg mjpg mkv mod mov mp4
mpe mpeg mpg mpv mts mxf ogm ogv qt rm rmvb tod trec ts vob webm wmv xvid y4m
"""
_MEDIA = SUPPORTED_EXTENSIONS | {f".{name}" for name in re.findall(r"\w+", _PICTURES + _RAWS + _VIDEOS)}
# Of tables and documents that are not written: a program that trusts the name could not read what is.
OTHER_TABLES = frozenset(
    (".tsv", ".tab", ".xls", ".xlsx", ".ods", ".parquet", ".xml", ".html", ".htm", ".yaml", ".yml")
)


def is_of_media(ending: str) -> bool:
    """Whether a file whose name ends so, in lower case and with its dot, is a picture, a video or a sound."""
    kind, _ = mimetypes.guess_type(f"x{ending}")
    return ending in _MEDIA or (kind or "").partition("/")[0] in ("image", "video", "audio")
