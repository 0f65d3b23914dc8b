"""``filterLogic``: the rows for which it is true.

Each row is evaluated by itself, as on real servers: a condition on one instrument excludes the
rows of other, repeating instruments.
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
    """Return the rows for which ``filterLogic`` is true, or all without logic.

    Raises:
        RequestError: The logic cannot be read, or names a field or event that the project does not
            have. The status is documented, the text is a guess.
    """
    text = call.parameters.get_text("filterLogic")
    if not text:
        return list(rows)
    try:
        logic = parse_logic(text)
        structure = call.project.structure
        references = {
            parts: resolve_reference(structure, parts) for parts in list_references(logic)
        }
        records = call.parameters.get_list("records")
        read_value = make_value_reader(call.store, call.project, records, references.values())
        codes = frozenset(choice.code for choice in structure.missing_data_codes)
        now = call.store.now()

        def matches(row_key: RowKey) -> bool:
            facts = Facts(lambda parts: read_value(references[parts], row_key), codes, now)
            return evaluate_condition(logic, facts) is True

        return [(number, row_key) for number, row_key in rows if matches(row_key)]
    except LogicError as error:
        raise RequestError(
            400, f'The logic in the parameter "filterLogic" is not valid: {error}.'
        ) from None
