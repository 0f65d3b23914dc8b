"""``filterLogic``: which rows it lets through.

It is asked of each row by itself, so that rows of a repeating form drop out by a condition on
another form, as they do on real servers.
"""

from collections.abc import Iterable

from redcap_dagster.sandbox.calls.call import Call
from redcap_dagster.sandbox.logic import (
    Facts,
    LogicError,
    evaluate_condition,
    list_references,
    parse_logic,
)
from redcap_dagster.sandbox.protocol.parameters import RequestError
from redcap_dagster.sandbox.records.logic_references import make_value_reader, resolve_reference
from redcap_dagster.sandbox.store.row_keys import RowKey


def filter_rows(call: Call, rows: Iterable[tuple[int, RowKey]]) -> list[tuple[int, RowKey]]:
    """The rows of which ``filterLogic`` is true; all if there is none.

    Raises:
        RequestError: It cannot be read, or names what the project does not have. That a server
            answers with this status is documented, the text is a guess.
    """
    text = call.parameters.get_text("filterLogic")
    if not text:
        return list(rows)
    try:
        logic = parse_logic(text)
        structure = call.project.structure
        meanings = {parts: resolve_reference(structure, parts) for parts in list_references(logic)}
        records = call.parameters.get_list("records")
        read_value = make_value_reader(call.store, call.project, records, meanings.values())
        codes = frozenset(choice.code for choice in structure.missing_data_codes)
        now = call.store.now()

        def matches(row_key: RowKey) -> bool:
            facts = Facts(lambda parts: read_value(meanings[parts], row_key), codes, now)
            return evaluate_condition(logic, facts) is True

        return [(number, row_key) for number, row_key in rows if matches(row_key)]
    except LogicError as error:
        raise RequestError(
            400, f'The logic in the parameter "filterLogic" is not valid: {error}.'
        ) from None
