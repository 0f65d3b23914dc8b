"""``filterLogic``: which rows it lets through.

It is asked of each row by itself, so that rows of a repeating form drop out by a condition on
another form, as they do on real servers.
"""

from collections.abc import Iterable

from redcap_dagster.sandbox.calls.call import Call
from redcap_dagster.sandbox.logic import Facts, LogicError, parse_logic, references_of, truth
from redcap_dagster.sandbox.protocol.parameters import RequestError
from redcap_dagster.sandbox.records.logic_references import meaning_of, reader
from redcap_dagster.sandbox.store.store import Place


def matching_rows(call: Call, rows: Iterable[tuple[int, Place]]) -> list[tuple[int, Place]]:
    """The rows of which ``filterLogic`` is true; all if there is none.

    Raises:
        RequestError: It cannot be read, or names what the project does not have. That a server
            answers with this status is documented, the text is a guess.
    """
    text = call.parameters.text("filterLogic")
    if not text:
        return list(rows)
    try:
        logic = parse_logic(text)
        structure = call.project.structure
        meanings = {parts: meaning_of(structure, parts) for parts in references_of(logic)}
        records = call.parameters.array("records")
        value_at = reader(call.store, call.project, records, meanings.values())
        codes = frozenset(choice.code for choice in structure.missing_data_codes)
        now = call.store.now()

        def holds(place: Place) -> bool:
            facts = Facts(lambda parts: value_at(meanings[parts], place), codes, now)
            return truth(logic, facts) is True

        return [(number, place) for number, place in rows if holds(place)]
    except LogicError as error:
        raise RequestError(
            400, f'The logic in the parameter "filterLogic" is not valid: {error}.'
        ) from None
