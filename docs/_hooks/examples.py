"""Show the section ``Example:`` of a docstring as code, as ``Examples:`` is."""

import re
from typing import Any

import griffe

_TITLE = re.compile(r"^( *)Example:$", re.M)


class Examples(griffe.Extension):
    """Called by mkdocstrings for every object that it reads."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rename the section, which is otherwise shown as text."""
        if obj.docstring:
            obj.docstring.value = _TITLE.sub(r"\1Examples:", obj.docstring.value)
