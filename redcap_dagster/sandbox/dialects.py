"""How a server differs from others: its version, its sentences, its CSV, its statuses and its log.

Imports no other module of the sandbox, which all may use it.
"""

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields
from random import Random
from types import MappingProxyType
from typing import Any, Final, Literal, Self, get_args

_LETTERS: Final = ("bö", "kâ", "lů", "mé", "ñi", "rø", "šu", "vă", "ţe", "źo")
"""Syllables that no English word has."""

# Kept: names in quotes, names with an underscore or a digit, and names after a colon at the end.
_WORD: Final = re.compile(
    r"""'[^'\s]*'|"[^"\s]*"|:\s[^\s,]+(?:,\s[^\s,]+)*$|\w*[_\d]\w*|(?P<word>[^\W\d_]+)"""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    r"""How a server differs from others. By default it is the server that most evidence is of.

    Attributes:
        name: Name of the dialect; `read_dialect` returns the dialect of a name. Defaults to
            ``default``.
        version: REDCap version, on which columns, headers and values depend. Defaults to 14.7.3.
        sentences: ``foreign`` replaces each sentence by one of another language, in refusals and
            in the log; statuses, shapes and names stay. Defaults to ``English``.
        quotes: Quotes inside a cell of CSV: ``doubled``, or ``escaped`` as PHP's ``fputcsv``
            writes them, which does not double a quote after a backslash. Defaults to ``doubled``.
        delimiter: Delimiter of CSV where a request does not name one, except for the dictionary
            and the log. Defaults to a comma.
        repeat_columns: Whether a record export has the two repeat columns ``always`` if the
            project has repeating instruments, or only with ``instances`` among its rows. Defaults
            to ``always``.
        no_break_space: ``byte`` sends a no-break space as the single byte of Latin-1, which is
            not UTF-8, as servers do with text that was pasted. Defaults to ``UTF-8``.
        log_actions: Wording of the log for users, roles, locks and e-signatures, by a verb of it:
            ``edit``, ``updated`` (with the user's name in the column of the record) or
            ``changed``. Defaults to ``edit``.
        unknown_token: Status with an unknown token. Defaults to 403.
        missing_right: Status where the user lacks a right to administer. Defaults to 400.
        access_groups: What a record export with access groups is for a user without the right to
            them: ``exported`` or ``refused``. Defaults to ``exported``.
        filler: Whether responses have the header ``redcap-random-text``. Defaults to True.
        comma_lists: Whether lists of names may be texts with commas. Defaults to True.
        max_parameters: Number of parameters after which the rest of a request is lost, as with
            PHP's ``max_input_vars``. Defaults to None, which loses none.

    Example:
        >>> Dialect(sentences="foreign").say("The field 'age' does not exist")
        "Røźoźo lůbö 'age' böbö vărørø røñikâ"
        >>> print(read_dialect("older"))
        older (version=11.4.4, repeat_columns=instances, log_actions=updated, filler=False)
    """

    name: str = "default"
    version: str = "14.7.3"
    sentences: Literal["English", "foreign"] = "English"
    quotes: Literal["doubled", "escaped"] = "doubled"
    delimiter: Literal[",", ";"] = ","
    repeat_columns: Literal["always", "instances"] = "always"
    no_break_space: Literal["UTF-8", "byte"] = "UTF-8"
    log_actions: Literal["edit", "updated", "changed"] = "edit"
    unknown_token: Literal[401, 403] = 403
    missing_right: Literal[400, 403] = 400
    access_groups: Literal["exported", "refused"] = "exported"
    filler: bool = True
    comma_lists: bool = True
    max_parameters: int | None = None

    def __str__(self) -> str:
        """Return the name, and what differs from the default."""
        default = type(self)()
        differences = [
            f"{field.name}={getattr(self, field.name)}"
            for field in fields(self)[1:]
            if getattr(self, field.name) != getattr(default, field.name)
        ]
        return f"{self.name} ({', '.join(differences) or 'no differences'})"

    def say(self, sentence: str) -> str:
        """Return a sentence as this server says it."""
        return sentence if self.sentences == "English" else _WORD.sub(_translate, sentence)

    def encode(self, text: str) -> bytes:
        """Return the bytes of a text. A lone surrogate, which UTF-8 does not have, is ``?``."""
        body = text.encode(errors="replace")
        return body if self.no_break_space == "UTF-8" else body.replace(b"\xc2\xa0", b"\xa0")

    @classmethod
    def draw(cls, seed: int) -> Self:
        """Return the dialect of a seed, called ``any-`` and the seed.

        Example:
            >>> Dialect.draw(1) == Dialect.draw(1) != Dialect.draw(2)
            True
        """
        random = Random(f"dialect {seed}")  # noqa: S311
        drawn: dict[str, Any] = {"name": f"any-{seed}"}
        for field in fields(cls):
            if field.name not in drawn:
                drawn[field.name] = random.choice(_CHOICES.get(field.name) or get_args(field.type))
        return cls(**drawn)


_CHOICES: Final[Mapping[str, tuple[Any, ...]]] = {
    "version": ("11.4.4", "13.4.9", "13.8.1", "14.7.3", "15.8.2", "16.0.8", "17.4.1"),
    "filler": (True, False),
    "comma_lists": (True, False),
    "max_parameters": (None, 1000),
}

DIALECTS: Final[Mapping[str, Dialect]] = MappingProxyType(
    {
        dialect.name: dialect
        for dialect in (
            Dialect(),
            Dialect(
                name="older",
                version="11.4.4",
                repeat_columns="instances",
                log_actions="updated",
                filler=False,
            ),
            Dialect(
                name="newer",
                version="17.4.1",
                log_actions="changed",
                unknown_token=401,
                missing_right=403,
                access_groups="refused",
                comma_lists=False,
            ),
            Dialect(name="foreign", sentences="foreign", delimiter=";"),
            Dialect(name="php", quotes="escaped", no_break_space="byte", max_parameters=1000),
        )
    }
)
"""Dialects that are ready, by name."""


def read_dialect(name: str) -> Dialect:
    """Return the dialect of a name.

    Args:
        name: Key of `DIALECTS`; ``any-`` and a number, which is the seed of a drawn dialect; or
            ``any``, which draws one of a new seed.

    Raises:
        ValueError: There is no such dialect.

    Example:
        >>> read_dialect("older").version, read_dialect("any-7").name
        ('11.4.4', 'any-7')
    """
    if name in DIALECTS:
        return DIALECTS[name]
    if name == "any":
        return Dialect.draw(secrets.randbelow(10**6))
    if drawn := re.fullmatch(r"any-(\d{1,9})", name, re.ASCII):
        return Dialect.draw(int(drawn[1]))
    raise ValueError(
        f"There is no dialect {name!r}. Dialects are {', '.join(DIALECTS)}, any, and any-SEED with "
        "a number."
    )


def _translate(match: re.Match[str]) -> str:
    """Return a word in another language, the same each time."""
    word = match["word"]
    if word is None:
        return match[0]
    digest = hashlib.sha256(word.lower().encode()).digest()
    made = "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest[: 2 + digest[0] % 2])
    return made.capitalize() if word[0].isupper() else made
