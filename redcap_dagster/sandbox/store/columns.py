"""The export columns of a project, and the values that the store keeps of them."""

from redcap_dagster.project import Column, REDCapProject


def index_columns(structure: REDCapProject) -> dict[str, Column]:
    """Return the export columns of all instruments by name."""
    return {
        column.name: column
        for instrument in structure.instruments
        for column in structure.columns(instrument.instrument_name)
    }


def to_stored_value(column: Column, value: str) -> str:
    """Return the value that the store keeps of a cell: a blank for an unticked checkbox option.

    Raises:
        ValueError: The value of a checkbox option is not blank, 0 or 1.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[
        ...     {"field_name": "id", "form_name": "visit"},
        ...     {"field_name": "race", "form_name": "visit", "field_type": "checkbox",
        ...      "select_choices_or_calculations": "1, A | 2, B"}])
        >>> to_stored_value(index_columns(project)["race___2"], "0")
        ''
    """
    if column.choice is None:
        return value
    if value not in ("", "0", "1"):
        raise ValueError(f"{column.name} is an option of a checkbox: it takes 0 or 1.")
    return "" if value == "0" else value
