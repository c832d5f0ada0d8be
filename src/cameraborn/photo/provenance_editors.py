"""Names by which programs that edit photographs are known in metadata."""

from __future__ import annotations

import re

EDITORS = re.compile(
    r"(?i)photoshop|lightroom|camera raw|\bgimp\b|snapseed|picasa|paint\.net|paintshop|affinity|darktable|"
    r"rawtherapee|capture one|luminar|pixelmator|photoscape|acdsee|irfanview|xnview|faststone|imagemagick|"
    r"graphicsmagick|\bpaint\b|microsoft windows photo|windows photo|corel|photofiltre|polarr|facetune|meitu|beauty|"
    r"instagram|vsco|picsart|pixlr|canva\b|fotor|krita|faceapp|google photos|photo ?editor|dxo|on1|topaz|exposure x|"
    r"aperture \d|\biphoto\b|photos \d|nikon transfer|capture nx|digital photo professional|viewnx|adobe"
)
