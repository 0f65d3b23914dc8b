"""Files for people who mend queries: workbooks that a run writes, confirmations that it reads."""

from pathlib import Path

import pyarrow as pa
from upath import UPath

from redcap_dagster.checks.checks import CHECKS
from redcap_dagster.execution.all_forms.forms import AllForms
from redcap_dagster.execution.all_forms.queries import load_query_history
from redcap_dagster.execution.run import Run
from redcap_dagster.execution.stored_tables import load_history
from redcap_dagster.partitions import bucket_keys
from redcap_dagster.project.system_columns import ACCESS_GROUP
from redcap_dagster.tables.queries import Confirmations, read_confirmations
from redcap_dagster.workbooks import RuleDescription, check_folder, read_workbook, write_workbooks


def load_confirmations(run: Run) -> Confirmations:
    """Return what data managers confirmed, in the file or the folder that the settings name.

    Raises:
        ConfirmationError: A CSV file cannot be read, or the file is missing.
        StructureError: A workbook, or the stored history, cannot be read.
    """
    settings = run.recipe.queries
    if settings is None or settings.confirmations is None:
        return Confirmations()
    path = Path(settings.confirmations)
    if not path.is_dir():
        return _read_file(run, path)
    found = Confirmations()
    for file in sorted(each for each in path.iterdir() if _is_readable(each)):
        one = _read_file(run, file)
        refused = {f"{file.name} {row}": why for row, why in one.refused.items()}
        found = Confirmations({**found.by_query, **one.by_query}, {**found.refused, **refused})
    return found


def _is_readable(path: Path) -> bool:
    """Whether a file of a folder can hold confirmations; Excel's lock files begin with a tilde."""
    return path.suffix.lower() in (".csv", ".xlsx") and not path.name.startswith(("~", "."))


def _read_file(run: Run, path: Path) -> Confirmations:
    if path.suffix.lower() == ".xlsx":
        return read_workbook(UPath(path), load_query_history(run))
    return read_confirmations(path)


def check_workbooks(run: Run) -> None:
    """Raise an error if the workbooks that the settings ask for cannot be written.

    Raises:
        WorkbookError: Their folder cannot be written to.
    """
    settings = run.recipe.queries
    if settings is not None and settings.workbook is not None:
        check_folder(UPath(settings.workbook), run.recipe.tables.name)


def write_query_workbooks(run: Run, forms: AllForms, queries: pa.Table) -> None:
    """Write the open queries of all buckets as workbooks, if the settings name a folder.

    Args:
        run: The run.
        forms: All instruments of the run.
        queries: The open list of the run's buckets.

    Raises:
        StructureError: The census or the lists of other buckets cannot be loaded, or a workbook
            cannot be written.
    """
    settings, tables = run.recipe.queries, run.recipe.tables
    if settings is None or settings.workbook is None:
        return
    keys = bucket_keys(tables.buckets) if tables.buckets else []
    others = [key for key in keys if key not in run.selection.buckets]
    stored = load_history(run.context, tables.queries["open"], others) if others else ()
    names = queries.column_names
    parts = [part.select([name for name in part.column_names if name in names]) for part in stored]
    census = forms.find_census()
    groups = None
    if ACCESS_GROUP in census.column_names:
        groups = [group for group in census[ACCESS_GROUP].unique().to_pylist() if group]
    identifiers = {
        field.field_name for field in run.project.fields if field.identifier.lower() == "y"
    }
    write_workbooks(
        pa.concat_tables([queries, *parts], promote_options="default"),
        UPath(settings.workbook),
        tables.name,
        _describe_rules(run, queries),
        groups=groups,
        identifiers=sorted(identifiers),
        record_id_is_identifier=run.project.record_id_field in identifiers,
    )


def _describe_rules(run: Run, queries: pa.Table) -> list[RuleDescription]:
    letters = dict(zip(*(queries[name].to_pylist() for name in ("rule", "letter")), strict=True))
    return [
        RuleDescription(
            rule,
            letters.get(rule) or "",
            CHECKS[rule].description if rule in CHECKS else "A rule of the project's own.",
        )
        for rule in run.recipe.query_rules
    ]
