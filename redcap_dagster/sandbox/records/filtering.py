"""``filterLogic``: the rows for which it is true.

Each row is evaluated by itself, as on real servers: a condition on one instrument excludes the
rows of other, repeating instruments.
"""

from collections.abc import Iterable

from redcap_dagster.project.logic import LogicError, evaluate_condition, parse_logic
from redcap_dagster.sandbox.calls.call import Call
from redcap_dagster.sandbox.protocol.parameters import RequestError
from redcap_dagster.sandbox.records.logic_references import check_references, make_facts_reader
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
        check_references(call.project.structure, logic)
        records = call.parameters.get_list("records")
        read_facts = make_facts_reader(call.store, call.project, records, logic)
        return [row for row in rows if evaluate_condition(logic, read_facts(row[1])) is True]
    except LogicError as error:
        raise RequestError(
            400, f'The logic in the parameter "filterLogic" is not valid: {error}.'
        ) from None
