"""Several bundles become one: their networks and channels of evidence stand side by side.

Each channel goes on reading the features of its own network. Their common scale and their p-values are measured again
by `calibrate`, on photographs that none of the bundles has seen.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from cameraborn.detect.bundle import Bundle
from cameraborn.detect.evidence.channel import Columns, Evidence
from cameraborn.errors import BundleError


def merge(bundles: Sequence[Bundle], score_by: Mapping[str, float | None] | None = None) -> Bundle:
    """The first bundle with the networks and fitted channels of the others behind its own, not calibrated.

    Files and channels whose names are taken get a number.

    Args:
        bundles: two or more.
        score_by: channels that make the score, with their weights or none; by default all that made one. The others
            stand beside it.

    Raises:
        BundleError: a bundle has no fitted evidence, one is of whole pictures and another of faces, there is no
            channel of such a name, or only some have a weight.
    """
    first, *others = bundles
    _check_areas(bundles)
    merged = first.without_calibration()
    for other in others:
        merged = _joined(merged, other)
    if not score_by:
        return merged
    scoring = [merged.channel(name).name for name in score_by]  # which refuses a name that nothing has
    weights = {name: weight for name, weight in score_by.items() if weight is not None}
    if weights and len(weights) < len(score_by):
        raise BundleError(
            "a weight for some channels of the score and none for others: give all one, or none"
        )
    return merged.with_combination({name: merged.info.standard_of(name) for name in scoring}, weights)


def _joined(bundle: Bundle, other: Bundle) -> Bundle:
    if not other.evidence:
        raise BundleError(
            f"{other.origin}: the bundle has no fitted evidence to add: run 'cameraborn fit' first"
        )
    files, networks = dict(bundle.files), []
    for network in other.info.networks:
        names = {name: _free(name, files) for name in (network.file, *network.weights)}
        files |= {new: other.files[old] for old, new in names.items()}
        weights = tuple(names[name] for name in network.weights)
        networks.append(network.model_copy(update={"file": names[network.file], "weights": weights}))
    merged = replace(bundle, files=files).with_info(
        networks=(*bundle.info.networks, *networks),
        licences=_licences(bundle, other),
    )
    channels, combined = {record.name for record in bundle.info.channels}, []
    for channel in other.evidence:
        name = _free(channel.name, channels)
        merged = merged.with_evidence(_moved(channel, name, bundle.info.width))
        if channel.name in other.info.combined:
            combined.append(name)
    standards = {name: bundle.info.standard_of(name) for name in bundle.info.combined}
    return merged.with_combination(standards | dict.fromkeys(combined)).with_seen(other.seen)


def _moved(channel: Evidence, name: str, by: int) -> Evidence:
    """The channel, of columns that stand further back."""
    columns: Columns = tuple((first + by, end + by) for first, end in channel.columns)
    return replace(channel, name=name, columns=columns)


def _free(name: str, taken: Collection[str]) -> str:
    """The name, with the first number that makes it differ from those that are taken, also without its endings."""
    stem, dot, endings = name.partition(".")
    stems = {one.partition(".")[0] for one in taken}
    number, free = 2, stem
    while free in stems:
        free, number = f"{stem}-{number}", number + 1
    return free + dot + endings


def _licences(bundle: Bundle, other: Bundle) -> dict[str, str]:
    """Both bundles' licences of code, weights and data, each told once."""
    ours, theirs = bundle.info.licences, other.info.licences
    return {
        what: "; ".join(dict.fromkeys(of[what] for of in (ours, theirs) if what in of))
        for what in {**ours, **theirs}
    }


def _check_areas(bundles: Sequence[Bundle]) -> None:
    """See that all bundles judge the same: faces, or whole pictures."""
    known = [bundle for bundle in bundles if bundle.info.coverage is not None]
    whole = [bundle for bundle in known if bundle.coverage.whole_image]
    if whole and len(whole) < len(known):
        raise BundleError(
            f"{whole[0].origin}: was calibrated on whole pictures, another on faces: give bundles of one kind"
        )
