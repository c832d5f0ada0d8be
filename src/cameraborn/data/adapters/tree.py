"""`tree`: test sets as folders, one a generator: AIGFD-EXIF's and BLADES' `data`, DiFF, DiffusionFace, GenImage.

A folder's name says what is in it, the innermost name first: `real`, `nature`, `celeba-face` ... hold photographs;
what is not in such a folder is generated, and the generator is the first folder under the one that was given.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cameraborn.data.adapters.entry import Entry, LeftOut, Options, entry, pictures_in
from cameraborn.errors import ManifestError

_PHOTOGRAPHS = frozenset(
    {
        *(
            "real",
            "reals",
            "0_real",
            "photo",
            "photos",
            "nature",
            "natural",
            "ffhq",
            "imagenet",
            "lsun",
            "coco",
        ),
        *("celeba", "celeba-face", "celeba-hq", "celeba_hq", "celebahq", "celebamask-hq", "mm-celeba-hq"),
        "mmcelebahq",
    }
)
_GENERATED = frozenset(("fake", "fakes", "1_fake", "ai", "generated", "synthetic"))
# A pair of them in each generator's folder.
_PAIRED = frozenset(("0_real", "1_fake", "nature", "ai", "real", "fake"))
_SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_CONTAINERS = frozenset(("data", "dataset", "images", "imgs", "img", "image", "png", "jpg"))
_KNOWN = _GENERATED | _PHOTOGRAPHS | _CONTAINERS | frozenset(_SPLITS)
_GENERATORS = {  # AIGFD-EXIF's folders, by the names of its tables
    "vq-gan_celebahq": "vqgan",
    "stable_diffusion_v_2_1_text2img_p2g3": "sdv21",
    "freedom_t": "freedom",
}
_LISTS = {"train.txt": "fit", "test.txt": "test"}  # AIGFD-EXIF fits its mixture to train.txt


def tree_entries(source: Path, options: Options) -> Iterator[Entry | LeftOut]:
    """Pictures in folders of generators and of photographs, under `source`.

    Pictures of one name are one group, because such sets condition their generators on the photograph or the prompt of
    that name. Photographs in a generator's folder (`progan/0_real` beside `progan/1_fake`) stay with it: both have its
    name as their kind, which is a track of `bench`, and one name in two such folders is chance and no group.

    Where a `train.txt` or `test.txt` lists photographs, they are the splits `fit` and `test`, and the generated
    pictures are `test`; otherwise a folder `train`, `val` or `test` is the split.
    """
    if not source.is_dir():
        raise ManifestError(f"{source}: no such folder: give a folder with a folder for each generator")
    lists = _listed(source)
    top = source.resolve()
    for path in pictures_in(source, options.census):
        folders = [top.name, *path.parent.relative_to(source.absolute()).parts]
        generator = _generator(folders)
        photographs = next((name for name in reversed(folders) if name.lower() in _PHOTOGRAPHS), top.name)
        track = _track(folders)
        split = next((_SPLITS[name.lower()] for name in folders[1:] if name.lower() in _SPLITS), "")
        if lists:
            split = "test" if generator else lists.get(path.name, "")
        yield entry(
            path,
            label="generated" if generator else "photo",
            generator=generator,
            source=generator or "/".join(filter(None, (track, photographs))),
            kind=track,
            group="/".join(filter(None, (track, path.stem))),
            split=split,
        )


def _track(folders: list[str]) -> str:
    """The generator in whose folder these pictures stand in a pair of folders, `0_real` and `1_fake`; else empty."""
    names = [name.lower() for name in folders[1:]]
    pair = next((place for place, name in enumerate(names) if name in _PAIRED), 0)
    outer = [name for name in names[:pair] if name not in _KNOWN]
    return _GENERATORS.get(outer[0], outer[0]) if outer else ""


def _generator(folders: list[str]) -> str:
    """The generator of the pictures in nested folders; empty for photographs."""
    for name in reversed(folders):
        if name.lower() in _PHOTOGRAPHS:
            return ""
        if name.lower() in _GENERATED:
            break
    names = [name for name in folders[1:] if name.lower() not in _KNOWN]
    name = (names[0] if names else folders[0]).lower()
    return _GENERATORS.get(name, name)


def _listed(source: Path) -> dict[str, str]:
    """File name -> split, of photographs that lists at the top or beside the photographs name.

    The lists of the papers' authors hold paths of their machines: the name of the file is what counts.
    """
    found: dict[str, str] = {}
    for folder in (source, *sorted(path for path in source.iterdir() if path.is_dir())):
        for name, split in _LISTS.items():
            if (folder / name).is_file():
                for line in (folder / name).read_text(encoding="utf-8", errors="replace").splitlines():
                    if line.strip():
                        found[line.strip().replace("\\", "/").rpartition("/")[2]] = split
    return found
