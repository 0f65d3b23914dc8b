"""Which sentences of a server are shown: those that cannot hold data of a project.

A sentence may quote cells, record ids or the token, in any language. Two rules let a part through:

- Of an English sentence, only words of a fixed list are shown, so that nothing else can be. Each
  other part is an ellipsis.
- A request for the structure of a project concerns no record, so its refusal in another language is
  shown if it consists of words alone: no digit, quote or other mark that sets off a value.
"""

import re
from collections.abc import Mapping
from typing import Final

_ENGLISH: Final = """
a about access account action active added administrator after again all allow allowed already
also an analysis and any api approval approve archive archived are arm arms as assign assigned at
available background be because been before belong belongs big blank blocked both but by call
called calls can can't cannot categories category change changed changes checkbox choice choices
choose cleanup closed code codes column columns completed contact content correct could create
current currently data date day days deactivated delete deleted denied designated development did
different disabled do does doesn't don't draft duplicate during each editing either email empty
enabled end ended ends enough enter error event events ever every exceeded exceeds exist existing
exists expected expiration expire expired expires export exported exporting exports failed feature
features field fields file files finish finished follow for form format forms found from full
function give given group groups had has hasn't have having header headers hour hours identifier
if import imported importing imports in inactive incorrect information instance instances instead
instrument instruments integer into invalid is isn't it its label labels lack lacking lacks larger
later least level limit limits live locked log logging longer longitudinal maintenance make many
marked match maximum may method methods minute minutes missing mode modified modify module modules
more moved multiple must name named names needs neither new no nobody not nothing now number numbers
numeric of off offline on once one only open opened opening option options or order out page
parameter parameters passed password past pending per perform permission permissions permitted
please possible practice privilege privileges process processed processing production project
projects provide provided reached read reason recognized record records redcap refused regenerate
regenerated remove removed rename reopen repeat repeating report request requested requests
require required requires respond restricted revoked right rights role row rows same second
seconds send sent sequence server set setup shorter should sign signed since size small so some
something specified specify start state status still study such super survey surveys suspended
system temporarily than that the their them then there therefore these they this those time to
token too try type unable unavailable unique unknown until up update updated upgrade use used user
username users using valid validated validation value values verified version view waiting was web
well were when where whether which while who will with within without would wrong you your
"""
"""English words of which REDCap's own sentences consist. None is likely to be a cell."""

_WORDS: Final = frozenset(_ENGLISH.split())

_STRUCTURE: Final = frozenset(
    {
        "arm",
        "event",
        "exportFieldNames",
        "formEventMapping",
        "instrument",
        "metadata",
        "project",
        "repeatingFormsEvents",
        "version",
    }
)
"""Contents whose exports concern no record."""

_LONGEST: Final = 400
_MOST_WORDS: Final = 60
_LONGEST_WORD: Final = 30
"""Letters. A token has 32 and may consist of letters alone."""

_WORD: Final = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")
_BETWEEN_WORDS: Final = re.compile(r"[ ,.;!?\u2026\u3001\u3002\uff0c\uff01\uff1f]*")


def quote_sentence(message: str | None, sent: Mapping[str, str]) -> str:
    """Return what may be shown of a server's sentence, as the end of a message; blank if nothing.

    Args:
        message: The sentence.
        sent: The parameters of the request that it refuses.

    Example:
        >>> quote_sentence("The project was completed on 2024-03-05 by ann", {"content": "record"})
        ' The server says: "The project was completed on … by …"'
        >>> quote_sentence("Das Projekt ist abgeschlossen.", {"content": "project"})
        ' The server says: "Das Projekt ist abgeschlossen."'
        >>> quote_sentence("Das Projekt ist abgeschlossen.", {"content": "record"})
        ''
    """
    text = " ".join((message or "")[: 2 * _LONGEST].split())
    if not text or len(text) > _LONGEST:
        return ""
    shown = _keep_known_words(text) or (text if _holds_no_data(text, sent) else "")
    return f' The server says: "{shown}"' if shown else ""


def _holds_no_data(text: str, sent: Mapping[str, str]) -> bool:
    """Return whether a sentence can hold no data, by the request and by its form."""
    if sent.get("content") not in _STRUCTURE or sent.get("action", "export") != "export":
        return False
    words = _WORD.findall(text)
    return (
        "data" not in sent
        and 3 <= len(words) <= _MOST_WORDS
        and max(map(len, words)) <= _LONGEST_WORD
        and all(_BETWEEN_WORDS.fullmatch(part) for part in _WORD.split(text))
    )


def _keep_known_words(text: str) -> str:
    """Return a sentence in which an ellipsis stands for all but words of the list.

    Blank if most of it would not be shown.
    """
    pieces: list[str] = []
    known = 0
    for part in text.split(" "):
        words = part.strip(".,;:!?()'\"").lower().removesuffix("'s").split("/")
        if _WORDS.issuperset(words):
            known += 1
            pieces.append(part)
        elif not pieces or pieces[-1] != "…":
            pieces.append("…")
    return " ".join(pieces) if known >= 3 and 2 * known > len(text.split(" ")) else ""
