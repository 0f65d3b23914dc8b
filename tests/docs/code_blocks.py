"""Every code block of the README and of the pages, as a Markdown parser finds them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from markdown_it import MarkdownIt

REPOSITORY = Path(__file__).parents[2]

_PARSER = MarkdownIt()
_COMMENT = re.compile(r"<!--\s*(.*?)\s*-->", re.S)
_NOT_RUN = "not run: "
_HIDDEN = "python\n"


@dataclass(frozen=True)
class CodeBlock:
    """A code block of a page.

    Attributes:
        page: The path of the page, from the repository on.
        line: The line in which the block begins.
        language: The word after the fence. "" for a block that is indented instead.
        text: The lines of the block.
        not_run: The reason in a comment before the block why nothing can run it, if there is one.
        materialize: Whether a comment asks to materialize the definitions of the block.
        hidden: Whether the block is a comment, which readers do not see.
    """

    page: str
    line: int
    language: str
    text: str
    not_run: str | None = None
    materialize: bool = False
    hidden: bool = False

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """Return all pages in Markdown."""
    patterns = ("*.md", "docs/**/*.md", "example_project/*.md", ".github/**/*.md")
    return sorted(page for pattern in patterns for page in REPOSITORY.glob(pattern))


def all_blocks() -> list[CodeBlock]:
    """Return the code blocks of all pages."""
    return [
        block
        for page in pages()
        for block in find_blocks(page.read_text(), str(page.relative_to(REPOSITORY)))
    ]


def find_blocks(markdown: str, page: str = "", first_line: int = 1) -> Iterator[CodeBlock]:
    """Yield the code blocks of a page.

    Args:
        markdown: The text of the page.
        page: Its path.
        first_line: The number of its first line.
    """
    comment = previous = ""
    for token in _PARSER.parse(markdown):
        line = first_line + (token.map or [0])[0]
        if token.type == "html_block":
            found = _COMMENT.search(token.content)
            comment = found[1] if found else ""
            if comment.startswith(_HIDDEN):
                yield CodeBlock(
                    page, line + 1, "python", comment.removeprefix(_HIDDEN), hidden=True
                )
        elif token.type == "code_block" and previous.startswith(("!!!", "???")):  # a box
            yield from find_blocks(dedent(token.content), page, line)
        elif token.type in ("fence", "code_block"):
            reason = comment.removeprefix(_NOT_RUN) if comment.startswith(_NOT_RUN) else None
            language = token.info.split()[0] if token.info else ""
            materialize = comment == "materialized by the tests"
            yield CodeBlock(page, line, language, token.content, reason, materialize)
        if token.type in ("inline", "fence", "code_block", "heading_open"):
            comment = ""
            previous = token.content
