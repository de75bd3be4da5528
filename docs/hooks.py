"""What mkdocs does beside: the changelog as a page, links to code, and the command line's reference made from the program."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import Any

import griffe
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
TWINS = {ROOT / "README.md": DOCS / "index.md", ROOT / "CHANGELOG.md": DOCS / "changelog.md"}
"""Files outside of the docs, and the page that says the same."""
COMMANDS = "<!-- commands -->"
"""Where the reference of the command line goes."""
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])+)\]\((?!https?://|#|mailto:)([^)\s]+)\)")


class Readable(griffe.Extension):
    """Docstrings are written for who reads the code; what Markdown does not know in them is said in Markdown."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite one docstring."""
        if obj.docstring is not None:
            obj.docstring.value = _readable(obj.docstring.value)


def _readable(text: str) -> str:
    """Roles as code or formulas, formulas in their brackets, and what is shown as an example or literally as blocks."""
    text = re.sub(r":math:`([^`]+)`", lambda found: rf"\({found[1]}\)", text)
    text = re.sub(r":[a-z]+:`~?\.?(?:[\w.]*\.)?(\w+)`", r"`\1`", text)
    text = re.sub(
        r"^\.\. math::\n((?: .*\n|\n)+)", lambda found: f"\n\\[\n{dedent(found[1]).strip()}\n\\]\n\n", text, flags=re.M
    )
    text = re.sub(r"^((?!\.\.).*):+:$", r"\1:", text, flags=re.M)
    return re.sub(r"^>>> .*(?:\n.+)*", lambda found: f"```pycon\n{found[0]}\n```", text, flags=re.M)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the changelog, which lies beside the docs."""
    files.append(File.generated(config, "changelog.md", abs_src_path=str(ROOT / "CHANGELOG.md")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in the commands, and lead links that leave the docs somewhere."""
    if COMMANDS in markdown:
        markdown = markdown.replace(COMMANDS, "\n".join(_commands()))
    return LINK.sub(partial(_link, page, config.extra["repository"], _documented()), markdown)


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Formulas as MathML, which browsers show by themselves."""

    def formula(found: re.Match[str]) -> str:
        display = "block" if found[1] == "div" else "inline"
        shown = str(convert(html.unescape(found[2]), display=display))
        return shown.replace("<math ", '<math tabindex="0" ', 1) if display == "block" else shown  # a long one scrolls

    return re.sub(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', formula, content, flags=re.DOTALL)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """The theme's search is a dialog without a name; who cannot see it needs one."""
    return output.replace(
        'class="md-search" data-md-component="search" role="dialog"',
        'class="md-search" data-md-component="search" role="dialog" aria-label="Search"',
        1,
    )


def _link(page: Page, repository: str, documented: dict[Path, str], found: re.Match[str]) -> str:
    """A link as the site has it: to a page, to the reference of the module, to the repository, or plain text."""
    text, target = found.groups()
    path, _, anchor = target.partition("#")
    source = Path(str(page.file.abs_src_path))
    place = (source.parent / path).resolve()
    if not path or not place.exists():
        return found[0]
    here = DOCS / Path(page.file.src_uri).parent
    if place.is_relative_to(DOCS) or place in TWINS:
        to = os.path.relpath(TWINS.get(place, place), here)
        return f"[{text}]({to}{'#' * bool(anchor)}{anchor})"
    if place in documented:
        return f"[{text}]({os.path.relpath(DOCS / documented[place], here)}#{_dotted(place)})"
    return f"[{text}]({repository.rstrip('/')}/blob/main/{place.relative_to(ROOT)})" if repository else text


def _documented() -> dict[Path, str]:
    """Modules that a page of the reference describes as a whole, with that page."""
    found = {}
    for page in (DOCS / "reference").glob("*.md"):
        for name in re.findall(r"^::: ([\w.]+)$", page.read_text(), re.MULTILINE):
            file = ROOT / f"{name.replace('.', '/')}.py"
            if file.exists():
                found[file] = str(page.relative_to(DOCS))
    return found


def _dotted(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts)


def _commands() -> Iterator[str]:
    """Every command by journey: what it does, an example, its arguments and options, as the program itself tells them."""
    import typer
    from typer.cli import get_docs_for_click

    from pal_backend.cli import app

    group = typer.main.get_command(app)
    context = group.make_context("pal", ["version"], resilient_parsing=True)
    panel = ""
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        if command.hidden:
            continue
        if command.rich_help_panel != panel:
            panel = command.rich_help_panel
            yield f"## {panel}\n"
        command.epilog = None
        text = get_docs_for_click(obj=command, ctx=context, indent=2, name=name, call_prefix="pal")
        if "Example:" not in text:
            raise PluginError(f"the help of `pal {name}` holds no example")
        text = re.sub(r"\*\*Usage\*\*:\n\n```console\n.*\n```\n", "", text)  # an example says more
        text = re.sub(r"^\* `-h, --help`: .*\n", "", text, flags=re.MULTILINE)
        text = re.sub(r"\*\*Options\*\*:\s+\Z", "", text)
        yield re.sub(r"\s*Example:\s+(.+)", r"\n\n```console\n$ \1\n```", text)
