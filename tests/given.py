"""What a reader of a page is taken to have before its commands are run: photographs, fakes, weights, a video."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from cameraborn.rivals.npr import NprNetwork

from .command import CAMERABORN, ENVIRONMENT, EXAMPLES, ROOT
from .conftest import varied_copies
from .pseudo.test_decoders import write_tiny


def photographs(folder: Path, name: str = "photographs") -> None:
    """A folder of photographs, each of a camera of its own."""
    for number, path in enumerate(varied_copies(folder / name, 4, seed=1)):
        (place := folder / name / f"camera{number}").mkdir()
        path.rename(place / path.name)


def tagged(folder: Path) -> None:
    """Photographs with the tags that recipes learn from, ten cameras of three each."""
    for number, path in enumerate(varied_copies(folder / "photographs", 30, seed=4)):
        exif = Image.Exif()
        exif.get_ifd(ExifTags.IFD.Exif).update(
            {
                ExifTags.Base.ISOSpeedRatings: 100 * 2 ** (number % 5),
                ExifTags.Base.FNumber: IFDRational(18 + number, 10),
                ExifTags.Base.ExposureTime: IFDRational(1, 60 + number),
                ExifTags.Base.FocalLength: IFDRational(24 + number, 1),
            }
        )
        (place := folder / "photographs" / f"camera{number % 10}").mkdir(exist_ok=True)
        with Image.open(path) as opened:
            opened.save(place / path.name, quality=90, exif=exif)
        path.unlink()


def own_photographs(folder: Path) -> None:
    photographs(folder, "my-photographs")
    varied_copies(folder / "uploads", 2, seed=2)


def own_fakes(folder: Path) -> None:
    photographs(folder)
    varied_copies(folder / "fakes" / "gan", 3, seed=3)


def decoders(folder: Path) -> None:
    """Photographs, their manifest, and decoders that others published."""
    photographs(folder)
    command = [CAMERABORN, "data", "import", "folder", "photographs", "--faces", "-o", "photographs.jsonl"]
    subprocess.run(command, cwd=folder, env=ENVIRONMENT, check=True, capture_output=True)
    write_tiny(folder / "DECODERS")


def data(folder: Path) -> None:
    """The same, and a picture as BLADES' authors store theirs."""
    decoders(folder)
    torch.save(torch.zeros(3, 8, 8, dtype=torch.uint8), folder / "NAME.pkl")


def face(folder: Path) -> None:
    Image.new("RGB", (8, 8)).save(folder / "face.png")


def checkpoint(folder: Path) -> None:
    """A rival's published file, with weights of no use."""
    torch.save(NprNetwork().state_dict(), folder / "NPR.pth")


def benchmark(folder: Path) -> None:
    """The benchmark of two folders, as a configuration of one's own, and a checkpoint."""
    for name, kind in (("real", "photo"), ("gan", "generated")):
        (place := folder / "my-set" / name).mkdir(parents=True)
        for path in (ROOT / "examples").glob(f"{kind}-*.jpg"):
            shutil.copy(path, place)
    shutil.copy(ROOT / "configs" / "bench_folders.toml", folder / "my-configuration.toml")
    checkpoint(folder)


def video(folder: Path) -> None:
    from .photo.test_video import (
        write as write_video,
    )  # where the extra is missing, this page alone is skipped

    with Image.open(EXAMPLES / "photo-1.jpg") as opened:
        pixels = np.asarray(opened.convert("RGB").resize((320, 320)))
    write_video(folder / "clip.mp4", [pixels] * 12)
