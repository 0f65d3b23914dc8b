"""The columns of a clean table before it is made: their sources in the records, and their types."""

from collections.abc import Mapping
from itertools import groupby

import pyarrow as pa

from redcap_dagster.project import Column, Field, REDCapProject
from redcap_dagster.project.columns import is_status_field
from redcap_dagster.project.system_columns import ARM, REPEAT_INSTANCE
from redcap_dagster.tables.cleaning.cells import (
    find_choices,
    find_type,
    has_option_columns,
    missing_code_columns,
)
from redcap_dagster.tables.cleaning.column_types import BOOLEAN, INTEGER, TEXT
from redcap_dagster.tables.cleaning.labels import CODED
from redcap_dagster.tables.cleaning.rules import CleaningRules


def column_sources(
    instrument: str, project: REDCapProject, rules: CleaningRules
) -> Mapping[str, tuple[str, ...]]:
    """Return the columns of the records from which each column of a clean table is made.

    An option of a checkbox is made from its own column and those of the project's missing data
    codes: where one of these is ticked, an option that is not ticked is missing, not false.

    Args:
        instrument: Name of the instrument.
        project: Structure of the project.
        rules: Rules of the clean table.

    Returns:
        Columns of the records by column of the clean table, in the table's order.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[
        ...     {"field_name": "id", "form_name": "a"},
        ...     {"field_name": "race", "form_name": "a", "field_type": "checkbox",
        ...      "select_choices_or_calculations": "1, A | 2, B"}])
        >>> column_sources("a", project, CleaningRules(checkboxes="lists"))["race"]
        ('race___1', 'race___2')
    """
    names = (*project.key_columns(instrument), *project.context_columns)
    sources: dict[str, tuple[str, ...]] = {name: (name,) for name in names}
    for field, columns in groupby(project.columns(instrument), key=lambda column: column.field):
        sources |= _find_field_sources(field, tuple(columns), rules)
    return sources


def list_clean_types(
    instrument: str, project: REDCapProject, rules: CleaningRules
) -> Mapping[str, pa.DataType]:
    """Return the type of each column of a clean table that has no rows yet.

    A column whose type the values decide is text until there are values.

    Args:
        instrument: Name of the instrument.
        project: Structure of the project.
        rules: Rules of the clean table.

    Returns:
        Arrow types by column of the clean table, in the table's order.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[
        ...     {"field_name": "id", "form_name": "a"},
        ...     {"field_name": "done", "form_name": "a", "field_type": "yesno"}])
        >>> list_clean_types("a", project, CleaningRules())["done"]
        DataType(bool)
    """
    names = (*project.key_columns(instrument), *project.context_columns)
    types = {
        name: INTEGER.arrow if name in (ARM, REPEAT_INSTANCE) else TEXT.arrow for name in names
    }
    for field, columns in groupby(project.columns(instrument), key=lambda column: column.field):
        kind = _find_arrow_type(field, project, rules)
        types |= dict.fromkeys(_find_field_sources(field, tuple(columns), rules), kind)
        if rules.missing_reasons and not is_status_field(field):
            types[f"{field.field_name}_missing"] = TEXT.arrow
    return types


def _find_arrow_type(field: Field, project: REDCapProject, rules: CleaningRules) -> pa.DataType:
    """Return the type of all columns of a field, but for the reasons for its missing values."""
    if has_option_columns(field, rules):
        return pa.list_(TEXT.arrow) if rules.checkboxes == "lists" else BOOLEAN.arrow
    if find_choices(field, rules, {}):
        return CODED
    return (find_type(field, project, rules) or TEXT).arrow


def _find_field_sources(
    field: Field, columns: tuple[Column, ...], rules: CleaningRules
) -> dict[str, tuple[str, ...]]:
    """Return the sources of the columns that one field has in the clean table."""
    name = field.field_name
    every = tuple(column.name for column in columns)
    sources: dict[str, tuple[str, ...]]
    if not has_option_columns(field, rules):
        sources = {column: (column,) for column in every}
        if rules.labels == "both" and find_choices(field, rules, {}):
            sources[f"{name}_code"] = every
    elif rules.checkboxes == "lists":
        sources = {name: every} if field.choices else {}
        if rules.labels == "both" and field.choices:
            sources[f"{name}_code"] = every
    else:
        codes = [column.name for column in missing_code_columns(columns)]
        sources = {option: (option,) if option in codes else (option, *codes) for option in every}
    if rules.missing_reasons and not is_status_field(field):
        sources[f"{name}_missing"] = every
    return sources
