"""Read a Dockerfile, and run its steps in a folder where no container engine is at hand.

Read are the instructions that ours has; another one is an error, so that no step is passed over in silence.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SAID_ALONE = {"LABEL", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD", "USER"}  # change no file
READ = SAID_ALONE | {"ARG", "FROM", "WORKDIR", "COPY", "RUN", "ENV"}


@dataclass
class Stage:
    """One stage: its instructions, each a word and the rest of its line."""

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def last(self, word: str) -> str:
        """What an instruction says that may be given again."""
        return [rest for found, rest in self.steps if found == word][-1]

    def command(self, word: str) -> list[str]:
        """The words of ENTRYPOINT or CMD in their JSON form."""
        return [str(part) for part in json.loads(self.last(word))]


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Each instruction's word and the rest of it, in which lines are joined and comments left out."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for line in re.sub(r"\s*\\\n\s*", " ", "\n".join(lines)).splitlines():
        if line.strip():
            word, _, rest = line.partition(" ")
            if word not in READ:
                raise ValueError(f"{word}: not read here: teach tools/dockerfile.py what it does")
            yield word, rest.strip()


def stages(text: str) -> list[Stage]:
    """The stages in their order; each begins with the arguments that stand before the first."""
    before: list[tuple[str, str]] = []
    found: list[Stage] = []
    for word, rest in instructions(text):
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found.append(Stage(base, name, list(before)))
        else:
            (found[-1].steps if found else before).append((word, rest))
    return found


@dataclass
class Place:
    """A folder that stands for the root of every stage's file system; absolute paths of `inside` lie in it."""

    root: Path
    context: Path
    inside: tuple[str, ...]

    def here(self, text: str) -> str:
        """A text in which the container's paths are this machine's."""
        if not self.inside:
            return text
        names = "|".join(map(re.escape, self.inside))
        return re.sub(rf"(?<![\w.])(?=(?:{names})(?![\w.-]))", str(self.root), text)

    def environment(self, stage: Stage) -> dict[str, str]:
        """What programs of a stage find set, without anything of this process but its PATH."""
        values = {"PATH": os.environ["PATH"], "HOME": str(self.root / "tmp")}
        for word, rest in stage.steps:
            if word in ("ARG", "ENV"):
                for pair in shlex.split(rest):
                    name, _, value = pair.partition("=")
                    values[name] = re.sub(r"\$\{(\w+)\}", lambda match: values[match[1]], self.here(value))
        return values

    def build(self, stage: Stage) -> None:
        """Run a stage's steps.

        Raises:
            subprocess.CalledProcessError: one of them failed.
        """
        environment, folder = self.environment(stage), self.root
        for word, rest in stage.steps:
            if word == "WORKDIR":
                folder = Path(self.here(rest))
                folder.mkdir(parents=True, exist_ok=True)
            elif word == "COPY" and not rest.startswith("--from"):
                *sources, target = shlex.split(rest)
                for source in sources:
                    self._copy(self.context / source, folder / target, target.endswith("/"))
            elif word == "RUN":
                command = self.here(re.sub(r"^(--\w+=\S+\s+)+", "", rest))
                subprocess.run(["sh", "-ec", command], cwd=folder, env=environment, check=True)

    @staticmethod
    def _copy(source: Path, target: Path, into: bool) -> None:
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target = target / source.name if into else target
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
