"""Links of the site: documents link to files as they lie in the repository, and the site has a page for each.

Markdown of the repository's root becomes a page; a folder, a recipe or a source file becomes a page that shows it; any
other file is copied. So every link works on the site alone, without network, and in the repository as well.
"""

import os
import posixpath
import re
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]
HOME = "README.md"
_LINK = re.compile(r"(\]\()([^)\s#:]+)(#[^)\s]*)?(?=\))")
_CODE = re.compile(r"(^```.*?^```|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
_SHOWN = {".toml": "toml", ".py": "python", "": "text", ".cff": "yaml", ".yaml": "yaml"}


def page_of(path: str) -> str:
    """The place on the site, from its root, of a file or folder of the repository."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if path == HOME:
        return "index.md"
    if path.endswith(".md"):
        return f"project/{path}"
    if (ROOT / path).is_dir():
        return f"files/{path}/index.md"
    return f"files/{path}.md" if PurePosixPath(path).suffix in _SHOWN else f"files/{path}"


def repository_path(page: str) -> str:
    """The file of the repository that a page of Markdown comes from."""
    if page == "index.md":
        return HOME
    return page.removeprefix("project/") if page.startswith("project/") else f"docs/{page}"


def targets(text: str, path: str) -> set[str]:
    """What the Markdown of a file links to: files and folders of the repository."""
    found = (_resolved(match[2], path) for part in _prose(text) for match in _LINK.finditer(part))
    return {target for target in found if (ROOT / target).exists()}


def rewritten(text: str, path: str) -> str:
    """The Markdown of a file with its links as its page has them."""
    folder = posixpath.dirname(page_of(path)) or "."

    def link(match: re.Match[str]) -> str:
        target = page_of(_resolved(match[2], path))
        return f"{match[1]}{posixpath.relpath(target, folder)}{match[3] or ''}"

    return "".join(part if _CODE.fullmatch(part) else _LINK.sub(link, part) for part in _CODE.split(text))


def shown(path: str) -> str | None:
    """The page that shows a file or a folder; None for what is copied as it is."""
    place = ROOT / path
    hidden = "---\nsearch:\n  exclude: true\n---\n"
    if place.is_dir():
        inside = sorted(entry for entry in place.iterdir() if entry.is_file())
        lines = (f"- [{entry.name}](/{path}/{entry.name})\n" for entry in inside)
        return f"{hidden}# {path}/\n\n" + _from_root("".join(lines), path)
    suffix = PurePosixPath(path).suffix
    if suffix not in _SHOWN:
        return None
    return f"{hidden}# {path}\n\n````{_SHOWN[suffix]}\n{place.read_text(encoding='utf-8')}````\n"


def inside(path: str) -> set[str]:
    """The files of a folder, which its page links to; of a file nothing."""
    place = ROOT / path
    return (
        {f"{path}/{entry.name}" for entry in place.iterdir() if entry.is_file()} if place.is_dir() else set()
    )


def _from_root(text: str, path: str) -> str:
    folder = posixpath.dirname(page_of(path))
    return re.sub(r"\(/([^)]+)\)", lambda match: f"({posixpath.relpath(page_of(match[1]), folder)})", text)


def _resolved(target: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), target)).replace(os.sep, "/")


def _prose(text: str) -> list[str]:
    return [part for part in _CODE.split(text) if not _CODE.fullmatch(part)]
