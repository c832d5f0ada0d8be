"""Which rows of the manifests are photographs, generated faces, and pairs of a photograph and its reconstruction.

A reconstruction is a row with `manipulation = "reconstructed"`; its photograph is the untouched row of the same
`original` and file name, as `cameraborn data reconstruct` writes both. What calibrates or validates must not be learnt
from in a reconstruction either: a reconstruction of a photograph that another split holds is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cameraborn.binary.generators_recipe import FacesSection, GeneratorsRecipe
from cameraborn.data.manifest import Row, read_manifest
from cameraborn.data.select import Selection, check_groups_apart, evenly
from cameraborn.errors import ManifestError
from cameraborn.pseudo.names import RECONSTRUCTED

_FEWEST = 2  # rows of a label


@dataclass(frozen=True)
class FaceRows:
    """The rows of one split.

    Attributes:
        photographs: untouched photographs, of faces where they have a box.
        fakes: generated faces, each with its box.
        pairs: a photograph and its reconstruction each.
    """

    photographs: tuple[Row, ...]
    fakes: tuple[Row, ...]
    pairs: tuple[tuple[Row, Row], ...]

    @property
    def all(self) -> list[Row]:
        """Every row."""
        return [*self.photographs, *self.fakes, *(row for pair in self.pairs for row in pair)]


def face_rows(recipe: GeneratorsRecipe) -> tuple[FaceRows, FaceRows]:
    """The rows to train on and to validate on.

    Raises:
        ManifestError: there are too few of a kind, a reconstruction has no photograph, a group is in both splits, or a
            photograph of another split was reconstructed.
    """
    data = recipe.data
    rows = [row for manifest in data.manifests for row in read_manifest(manifest)]
    train = _divided(rows, data.train_selection(), data)
    val = _divided(rows, data.val_selection(), data)
    for split, found in ((data.train_split, train), (data.val_split, val)):
        _check_numbers(data, split, found)
    if recipe.batch.pairs and not train.pairs:
        raise ManifestError(
            f"{data.manifest}: no reconstructed photographs in split '{data.train_split}': make some with "
            "'cameraborn data reconstruct' and name their manifest in data.more_manifests, or set batch.pairs = 0"
        )
    check_groups_apart(data.manifest, train.all, val.all)
    _check_held_out(data, rows, train)
    limit = data.val_limit
    shown = FaceRows(
        tuple(evenly(val.photographs, limit)),
        tuple(evenly(val.fakes, limit)),
        tuple(evenly(val.pairs, limit)),
    )
    return train, shown


def _divided(rows: Sequence[Row], selection: Selection, data: FacesSection) -> FaceRows:
    meant = [row for row in rows if row in selection]
    pairs = tuple(_pairs(meant, data))
    paired = {id(original) for original, _ in pairs}
    return FaceRows(
        photographs=tuple(
            row for row in meant if row.label == "photo" and not row.manipulation and id(row) not in paired
        ),
        fakes=tuple(row for row in meant if row.label == "generated" and row.box is not None),
        pairs=pairs,
    )


def _pairs(rows: Sequence[Row], data: FacesSection) -> Iterator[tuple[Row, Row]]:
    originals = {_place(row): row for row in rows if row.original and not row.manipulation}
    for row in rows:
        if row.manipulation == RECONSTRUCTED:
            original = originals.get(_place(row))
            if original is None:
                raise ManifestError(
                    f"{data.manifest}: {row.path} is reconstructed, and its photograph is missing: give the whole "
                    "manifest that 'cameraborn data reconstruct' wrote"
                )
            yield original, row


def _place(row: Row) -> tuple[str, str]:
    return row.original, Path(row.path).stem


def _check_numbers(data: FacesSection, split: str, found: FaceRows) -> None:
    faces = [row for row in found.photographs if row.box is not None]
    for words, rows in (("photographs", faces), ("generated pictures", found.fakes)):
        if len(rows) < _FEWEST:
            raise ManifestError(
                f"{data.manifest}: fewer than {_FEWEST} usable {words} with a face's box in split '{split}': import "
                "some with 'cameraborn data import --faces', or fix the recipe's splits and kinds"
            )


def _check_held_out(data: FacesSection, rows: Sequence[Row], train: FaceRows) -> None:
    kept_out = [row for row in rows if row.split != data.train_split and not row.manipulation]
    held_out = {row.first: row for row in kept_out} | {row.sha256: row for row in kept_out}
    for original, reconstructed in train.pairs:
        if (kept := held_out.get(original.original)) is not None:
            raise ManifestError(
                f"{data.manifest}: {reconstructed.path} is a reconstruction of {kept.path}, which is of split "
                f"'{kept.split}': reconstruct photographs with --split {data.train_split} alone"
            )
