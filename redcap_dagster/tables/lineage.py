"""Which columns of the records each column of a clean table is made of."""

from collections.abc import Mapping
from itertools import groupby

from redcap_dagster.project import Column, Field, REDCapProject
from redcap_dagster.project.system_columns import status_column
from redcap_dagster.tables.cells import choices_of, has_boxes, missing_code_columns
from redcap_dagster.tables.cleaning_rules import CleaningRules


def column_sources(
    form: str, project: REDCapProject, rules: CleaningRules
) -> Mapping[str, tuple[str, ...]]:
    """Name what each column of a form's clean table is made of, in the table's order.

    A box of a checkbox is made of itself and of the boxes of the project's missing data codes:
    where one of those is ticked, an unticked box is missing and not false.

    Args:
        form: The name of the instrument.
        project: The structure.
        rules: How records become clean tables.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[
        ...     {"field_name": "id", "form_name": "a"},
        ...     {"field_name": "race", "form_name": "a", "field_type": "checkbox",
        ...      "select_choices_or_calculations": "1, A | 2, B"}])
        >>> column_sources("a", project, CleaningRules(checkboxes="lists"))["race"]
        ('race___1', 'race___2')
    """
    names = (*project.key_columns(form), *project.context_columns)
    sources: dict[str, tuple[str, ...]] = {name: (name,) for name in names}
    for field, columns in groupby(project.columns(form), key=lambda column: column.field):
        sources |= _of_field(field, tuple(columns), rules)
    return sources


def _of_field(
    field: Field, columns: tuple[Column, ...], rules: CleaningRules
) -> dict[str, tuple[str, ...]]:
    name = field.field_name
    all_of_it = tuple(column.name for column in columns)
    sources: dict[str, tuple[str, ...]]
    if not has_boxes(field, rules):
        sources = {column: (column,) for column in all_of_it}
        if rules.labels == "both" and choices_of(field, rules, {}):
            sources[f"{name}_code"] = all_of_it
    elif rules.checkboxes == "lists":
        sources = {name: all_of_it}
        if rules.labels == "both":
            sources[f"{name}_code"] = all_of_it
    else:
        codes = [column.name for column in missing_code_columns(columns)]
        sources = {
            box: (box,) if box in codes else (box, *codes)  # a code's own box is as it is
            for box in all_of_it
        }
    if rules.missing_reasons and name != status_column(field.form_name):
        sources[f"{name}_missing"] = all_of_it
    return sources
