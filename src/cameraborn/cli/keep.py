"""What a long run has done is kept while it runs, so that nothing is lost.

`score`: each picture's verdicts go into a journal beside the output, `OUTPUT.part`, as soon as they are there. At the
end the rows are written from it, the output takes its name, and the journal goes. Rows for standard output, a device or
a pipe go out as they come, and nothing is kept. `fit`, `fit-binary` and `calibrate`: the views of each photograph go
into `OUTPUT.views.part`. `audit`: what is measured of each picture goes into `OUTPUT.part`.
"""

from __future__ import annotations

import hashlib
import os
from array import array
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cameraborn import __version__
from cameraborn.cli.failures import keeping, say
from cameraborn.cli.inputs import StandardInput
from cameraborn.cli.output import streamed
from cameraborn.detect.bundle import Bundle
from cameraborn.detect.detector import Detector
from cameraborn.detect.score import ScoreOptions, verdicts_on
from cameraborn.detect.store import check_place
from cameraborn.detect.verdict import ChannelVerdict, Verdict
from cameraborn.engine.journal import Journal, Mark, digest
from cameraborn.engine.local import map_in_order
from cameraborn.engine.resume import Task, UnlessKnown
from cameraborn.engine.stage import Call
from cameraborn.errors import CamerabornError, JournalError
from cameraborn.files import holds_something

if TYPE_CHECKING:  # `score` need not wait for it
    from cameraborn.fit.views import ViewOptions

Source = str | StandardInput
_VERDICTS = ("verdict on a picture", "verdicts on pictures")
_LOOKS = ("look at a picture", "looks at pictures")
_MEASURED = ("measured picture", "measured pictures")


# A picture, and its verdicts, or where they are in the journal already.
_Task = Task[Source, "list[Verdict] | int"]


def kept_or_streamed(
    detector: Detector,
    output: Path | None,
    options: ScoreOptions,
    *,
    fdr: float | None,
    resume: bool,
) -> Kept:
    """The run that writes to `output`; its options are what an interrupted run must agree with.

    Raises:
        CamerabornError: it is to go on, but writes to a device or a pipe.
    """
    if streamed(output) and resume:
        raise CamerabornError(f"{output}: --resume: only rows that go into a file are kept: leave it out")
    return Kept(detector, None if streamed(output) else output, options, fdr=fdr, resume=resume)


class Kept:
    """One run of `score`.

    Args:
        detector: what scores.
        output: the file; None if rows go out as they come.
        options: how it scores.
        fdr: the false-discovery rate of the set, if there is one.
        resume: go on with what is kept.

    Attributes:
        part: the journal; None if nothing is kept.
    """

    def __init__(
        self,
        detector: Detector,
        output: Path | None,
        options: ScoreOptions,
        *,
        fdr: float | None,
        resume: bool,
    ) -> None:
        self._detector, self._options, self._fdr, self._resume = detector, options, fdr, resume
        target = None if output is None else Path(os.path.realpath(output))
        self.part = None if output is None else _beside(output, ".part")
        self._replaced = None if target is None else _state_of(target)

    @property
    def may_replace(self) -> bool:
        """Whether the run that is gone on with was told to replace what is there; the journal knows which file."""
        held = Journal.settings_of(self.part) if self._resume and self.part is not None else {}
        return "output" in held

    def begin(self, *, overwrite: bool) -> None:
        """See what an interrupted run has left, before anything is scored.

        Raises:
            JournalError: there is a journal and nobody said what is to become of it, or it is something else.
        """
        if self.part is None:
            return
        _check_folder(self.part)
        _begin(self.part, resume=self._resume, overwrite=overwrite)

    @contextmanager
    def verdicts(
        self, pictures: Iterable[Source], advance: Callable[[int], None], jobs: int | None
    ) -> Iterator[Iterator[Verdict]]:
        """The verdicts on the pictures, in their order; with a journal, once all of them are there."""
        if self.part is None:
            with closing(self._scored(map(_Task, pictures), advance, jobs)) as scored:
                yield (verdict for _, found in scored if not isinstance(found, int) for verdict in found)
            return
        again = "the same command with --resume"
        with _journal(self.part, self._settings(), _VERDICTS, again) as journal:
            order = self._fill(journal, pictures, advance, jobs)
            yield (verdict for at in order for verdict in map(_verdict_of, journal.read(at)))
        self.part.unlink(missing_ok=True)

    def _fill(
        self, journal: Journal, pictures: Iterable[Source], advance: Callable[[int], None], jobs: int | None
    ) -> array[int]:
        """Score what is not in the journal yet; where each picture's line begins, in the order of the pictures."""
        order = array("Q")
        tasks = (self._task(source, journal) for source in pictures)
        with closing(self._scored(tasks, advance, jobs)) as scored:
            for task, found in scored:
                if not isinstance(found, int):
                    found = journal.add(task.mark, [asdict(verdict) for verdict in found])
                order.append(found)
        return order

    def _scored(
        self, tasks: Iterable[_Task], advance: Callable[[int], None], jobs: int | None
    ) -> Generator[tuple[_Task, list[Verdict] | int], None, None]:
        def work(source: Source) -> list[Verdict] | int:
            return verdicts_on(self._detector, source, self._options)

        for done, scored in enumerate(map_in_order(UnlessKnown(Call(work)), tasks, jobs), 1):
            advance(done)
            yield scored

    def _task(self, source: Source, journal: Journal) -> _Task:
        if isinstance(source, str):
            mark = Mark.of(digest(source), source)
        else:
            data = source.getbuffer()
            mark = Mark(digest(hashlib.sha256(data).hexdigest()), len(data), 0)
        at, found = journal.get(mark) or (None, [])
        # What could not be read may have been repaired meanwhile, without its size or time changing.
        unreadable = any(row["scope"] == "unreadable" for row in found)
        return Task(source, mark, None if unreadable else at)

    def _settings(self) -> dict[str, Any]:
        replaced = {} if self._replaced is None else {"output": self._replaced}
        return settings_of(self._detector, self._options) | {"fdr": self._fdr, **replaced}


def _state_of(path: Path) -> list[int] | None:
    """What tells a file from another, or from itself before a change; None if nothing would be lost with it."""
    if not holds_something(path):
        return None
    status = path.stat()
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns]


def settings_of(detector: Detector, options: ScoreOptions) -> dict[str, Any]:
    """What verdicts depend on, besides the inputs."""
    return {**_versions(detector.bundle), "evidence": detector.evidence, **asdict(options)}


_AGAIN = "the same command, also with more photographs,"


@contextmanager
def kept_views(
    verb: str, bundle: Bundle, output: Path, options: ViewOptions, *, overwrite: bool
) -> Iterator[Journal]:
    """The journal of the views that a verb takes, until its bundle is written.

    The same command goes on from it, whether it was interrupted or failed; `overwrite` starts again.

    Raises:
        BundleError: something else than a bundle is in its place.
        JournalError: it is of another bundle, verb or options, or is something else.
    """
    check_place(output)  # it is written hours later
    part = part_of_views(output)
    if not overwrite and (other := Journal.settings_of(part).get("verb", verb)) != verb:
        raise JournalError(
            f"{part}: kept by '{other}', which did not end: give that command again, or --overwrite to throw away what "
            "it has done, or another -o"
        )
    _begin(part, resume=not overwrite, overwrite=overwrite)
    of_views = {name: value for name, value in asdict(options).items() if name != "jobs"}
    settings = {**_versions(bundle), "verb": verb, **of_views}
    with _journal(part, settings, _LOOKS, _AGAIN) as journal:
        yield journal
    part.unlink(missing_ok=True)


@contextmanager
def kept_measurements(output: Path | None, *, overwrite: bool) -> Iterator[Journal | None]:
    """The journal of an audit, until its output is written; None if that goes to a device or a pipe.

    Raises:
        JournalError: it is of another release, or is something else.
    """
    if output is None or streamed(output):
        yield None
        return
    part = _beside(output, ".part")
    _check_folder(part)
    _begin(part, resume=not overwrite, overwrite=overwrite)
    with _journal(part, {"verb": "audit", "release": __version__}, _MEASURED, "the same command") as journal:
        yield journal
    part.unlink(missing_ok=True)


def part_of_views(output: Path) -> Path:
    """The journal of a bundle that is being fitted or calibrated."""
    return _beside(output, ".views.part")


def _beside(output: Path, ending: str) -> Path:
    """Beside the file that a link leads to."""
    target = Path(os.path.realpath(output))
    return target.with_name(target.name + ending)


def _check_folder(part: Path) -> None:
    if not part.parent.is_dir():
        raise CamerabornError(f"{part.parent}: no such folder: make it, or give another -o")


def _begin(part: Path, *, resume: bool, overwrite: bool) -> None:
    """See that a journal is new, is to be gone on with, or may be thrown away."""
    if resume or not os.path.lexists(part) or _is_empty(part):
        return
    if not overwrite:
        raise JournalError(
            f"{part}: left by a run that was interrupted: go on with --resume, or start again with --overwrite"
        )
    if not Journal.may_be(part):
        raise JournalError(f"{part}: not the journal of an interrupted run: move or delete it")
    part.unlink()


def _is_empty(part: Path) -> bool:
    """Whether a file is there that holds nothing: its run ended before it had begun."""
    return part.is_file() and not part.is_symlink() and part.stat().st_size == 0


@contextmanager
def _journal(part: Path, settings: dict[str, Any], what: tuple[str, str], again: str) -> Iterator[Journal]:
    """The journal; it is said how much is there already, and after a failure what is kept of `what` (one, several)."""
    with Journal(part, settings, again) as journal:
        if len(journal):
            say(f"{part}: going on; {what[1]} done already: {len(journal)}")
        with keeping(part, journal.recount, *what, again=again):
            yield journal


def _versions(bundle: Bundle) -> dict[str, str]:
    info = bundle.info.model_dump_json()
    return {"release": __version__, "bundle": hashlib.sha256(info.encode()).hexdigest()}


def _verdict_of(fields: dict[str, Any]) -> Verdict:
    """A verdict as it was before it became JSON."""
    evidence = {name: ChannelVerdict(**one) for name, one in fields["evidence"].items()}
    tuples = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
    return Verdict(**{**fields, **tuples, "evidence": evidence})
