"""Tables in Markdown, for metadata that Dagster shows to people."""

import html
import re
from collections.abc import Iterable, Sequence

_MARKS = re.compile(r"[\\`*\[\]~|]|(?<!\w)_|_(?!\w)")


def build_markdown_table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    r"""Return a table in Markdown, in which each cell is shown as it is written.

    HTML and the marks of Markdown are escaped, and a cell of several lines stays one cell. Columns
    with numbers are aligned to the right; None is a blank cell.

    Args:
        head: Names of the columns.
        rows: The cells of each row.

    Example:
        >>> print(build_markdown_table(["label", "count"], [["<b>Age</b> | years", 3]]))
        | label | count |
        | --- | ---: |
        | &lt;b&gt;Age&lt;/b&gt; \| years | 3 |
    """
    cells = [list(row) for row in rows]
    alignments = [
        "---:" if any(type(row[place]) in (int, float) for row in cells) else "---"
        for place in range(len(head))
    ]
    lines = [[_escape(cell) for cell in line] for line in (head, *cells)]
    lines.insert(1, alignments)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escape(cell: object) -> str:
    if cell is None:
        return ""
    text = _MARKS.sub(r"\\\g<0>", html.escape(str(cell), quote=False))
    return "<br>".join(text.splitlines())
