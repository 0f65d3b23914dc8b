"""Texts as literals of the languages of snippets."""

import re
import shlex


def quote_python(text: str) -> str:
    r"""Return a text as a Python literal, in double quotes where these need no escape.

    Example:
        >>> print(quote_python("it's"), quote_python('"a"'), quote_python("a\nb"))
        "it's" '"a"' "a\nb"
    """
    written = repr("'" + text)  # a single quote makes repr prefer double quotes
    return f'"{written[2:]}' if written[0] == '"' else repr(text)


def quote_r(text: str) -> str:
    r"""Return a text as an R literal, in ASCII, as a script may be read in any encoding.

    Example:
        >>> print(quote_r('[a] = "\u00e4"'))
        "[a] = \"\u00e4\""
    """
    return f'"{_escape(text)}"'


def quote_yaml(text: str) -> str:
    r"""Return a text as YAML: plain where it is a name that YAML reads as text.

    Example:
        >>> print(quote_yaml("visit"), quote_yaml("no"), quote_yaml("a: b"))
        visit "no" "a: b"
    """
    if re.fullmatch(r"[a-z][a-z0-9_]*", text) and text not in _YAML_WORDS:
        return text
    return f'"{_escape(text)}"'


def quote_shell(text: str) -> str:
    """Return a text as a word of a POSIX shell.

    Example:
        >>> print(quote_shell("age"), quote_shell("[age] > 40"))
        age '[age] > 40'
    """
    return shlex.quote(text)


_YAML_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


def _escape(text: str) -> str:
    r"""Return a text between double quotes, with ``\uXXXX`` for all but printable ASCII."""
    return "".join(map(_escape_character, text))


def _escape_character(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if " " <= character <= "~":
        return character
    named = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
    code = ord(character)
    return named.get(character) or (f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
