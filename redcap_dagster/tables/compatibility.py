"""Whether an export fits the structure that it is to be split by.

Structure and records are two requests: a project may be changed in between, and a broken answer may
lack what tells rows apart. Such an export would be split into tables that look right and are not.
"""

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project import REDCapProject, StructureError
from redcap_dagster.project.system_columns import (
    ARM,
    EVENT_NAME,
    REPEAT_COLUMNS,
    REPEAT_INSTANCE,
    REPEAT_INSTRUMENT,
)
from redcap_dagster.tables.instruments import export_text


class DisagreementError(StructureError):
    """Structure and export are not of one moment, or broken; asked for once more they may agree."""


def check_agreement(export: pa.Table, project: REDCapProject) -> None:
    """Refuse an export whose keys are not those of the structure.

    Args:
        export: A flat export; one without rows fits any structure.
        project: The structure.

    Raises:
        DisagreementError: It lacks key columns, has those of another structure, or names events or
            forms that the structure does not have; the text has counts alone.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[{"field_name": "id", "form_name": "a"}])
        >>> check_agreement(pa.table({"id": ["1"], "redcap_event_name": ["a_arm_1"]}), project)
        Traceback (most recent call last):
        redcap_dagster.tables.compatibility.DisagreementError: The export has events, ... Run again.
    """
    if not export.num_rows:
        return
    header = set(export.column_names)
    if project.is_longitudinal and EVENT_NAME not in header:
        raise _disagreement("The export lacks the events")
    if not project.is_longitudinal and EVENT_NAME in header:
        raise _disagreement("The export has events")
    blank = export_text(export, project.record_id_field).null_count
    if blank:
        raise _disagreement(f"{blank} rows of the export have no record id")
    if project.is_longitudinal:
        names = [event.unique_event_name for event in project.events]
        _check_known(export, EVENT_NAME, names, "an event")
    if project.has_repeating:
        if not header.issuperset(REPEAT_COLUMNS):
            raise _disagreement("The export lacks the instances of repeating forms")
        forms = [form.instrument_name for form in project.instruments]
        _check_known(export, REPEAT_COLUMNS[0], [*forms], "a repeating form")
        _check_instances(export)
    else:
        for name in REPEAT_COLUMNS:
            if len(export_text(export, name)) > export_text(export, name).null_count:
                raise _disagreement("The export has instances of repeating forms")


def check_keys(records: pa.Table, project: REDCapProject, form: str) -> None:
    """Refuse records that were stored under another structure: their rows have other keys.

    Raises:
        StructureError: They lack a key column, or have one that the form does not have.
    """
    ours = set(project.key_columns(form))
    possible = {EVENT_NAME, ARM, *REPEAT_COLUMNS} | ours
    if ours != possible.intersection(records.column_names):
        raise StructureError(
            "The stored records have other keys than the form has now: materialize the records "
            "again, or together with the clean table."
        )


def check_columns(records: pa.Table, project: REDCapProject, form: str) -> None:
    """Refuse records that were stored before the form had all of its columns.

    They are as they were sent then: of a field that is new, or has a new name, nothing is known.

    Raises:
        StructureError: It names the columns that they lack.
    """
    names = (*project.context_columns, *(column.name for column in project.columns(form)))
    lacking = [name for name in names if name not in records.column_names]
    if lacking:
        raise StructureError(
            f"The stored records lack columns that the form has now: {', '.join(lacking)}. The "
            "project was changed since: materialize the records again, or together with the clean "
            "table."
        )


def _check_known(export: pa.Table, name: str, known: list[str], what: str) -> None:
    values = export_text(export, name)
    unknown = pc.and_(values.is_valid(), pc.invert(pc.is_in(values, pa.array(known, pa.string()))))
    rows = pc.sum(unknown, min_count=0).as_py()
    if rows:
        raise _disagreement(f"{rows} rows of the export are of {what} that is unknown")


def _check_instances(export: pa.Table) -> None:
    instances = export_text(export, REPEAT_INSTANCE)
    named = export_text(export, REPEAT_INSTRUMENT).is_valid()
    number = pc.fill_null(pc.match_substring_regex(instances, "^[1-9][0-9]{0,8}$"), False)
    wrong = pc.and_(pc.or_(named, instances.is_valid()), pc.invert(number))
    rows = pc.sum(wrong, min_count=0).as_py()
    if rows:
        raise _disagreement(f"{rows} rows of the export have an instance that is no number")


def _disagreement(what: str) -> DisagreementError:
    return DisagreementError(
        f"{what}, against the structure of the project: it was changed meanwhile, or the answer is "
        "broken. Run again."
    )
