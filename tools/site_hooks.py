"""What MkDocs asks while it builds the site (mkdocs.yml): pages from repository and code, links, tables."""

from collections.abc import Iterator

import site_links as links
import site_reference as reference
import site_tables as tables
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT_PAGES = (links.HOME, "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")
REFERENCE = {"http": reference.http, "python": reference.python, "formats": reference.formats}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, the repository's root, and what any page links to."""
    texts = {
        f"docs/{file.src_uri}": tables.filled(file.content_string) for file in files.documentation_pages()
    }
    for path, text in generated():
        texts[path] = text
        files.append(File.generated(config, links.page_of(path), content=text))
    waiting = list(texts.items())
    seen = {*texts}
    while waiting:
        path, text = waiting.pop()
        for target in sorted(links.targets(text, path)):
            for one in {target, *links.inside(target)} - seen:
                seen.add(one)
                if one.startswith("docs/") or one in texts:
                    continue
                waiting += added(files, config, one)
    return files


def generated() -> Iterator[tuple[str, str]]:
    """Pages that lie nowhere in docs/, by the repository's path that their links are relative to."""
    for path in ROOT_PAGES:
        yield path, (links.ROOT / path).read_text(encoding="utf-8")
    for name, page in REFERENCE.items():
        yield f"docs/reference/{name}.md", page()


def added(files: Files, config: MkDocsConfig, path: str) -> list[tuple[str, str]]:
    """Add a file or folder of the repository; the text of which links are to be followed, if it has any."""
    place = links.page_of(path)
    if path.endswith(".md"):
        text = (links.ROOT / path).read_text(encoding="utf-8")
        files.append(File.generated(config, place, content=text))
        return [(path, text)]
    if (text_shown := links.shown(path)) is not None:
        files.append(File.generated(config, place, content=text_shown))
    else:
        files.append(File.generated(config, place, abs_src_path=str(links.ROOT / path)))
    return []


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in tables, and point links to the site's own places."""
    if page.file.src_uri.startswith("files/"):
        return markdown
    return links.rewritten(tables.filled(markdown), links.repository_path(page.file.src_uri))
