"""Files for people who mend queries: workbooks that a run writes, confirmations that it reads."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import pyarrow as pa
from upath import UPath

from redcap_dagster.execution.all_forms.forms import AllForms
from redcap_dagster.execution.all_forms.queries import load_query_history
from redcap_dagster.execution.run import Run
from redcap_dagster.execution.stored_tables import load_history
from redcap_dagster.partitions import bucket_keys
from redcap_dagster.project.name_lists import list_names
from redcap_dagster.project.system_columns import ACCESS_GROUP
from redcap_dagster.tables.queries import (
    Confirmation,
    ConfirmationError,
    Confirmations,
    read_confirmations,
)
from redcap_dagster.workbooks import (
    check_folder,
    read_filled_in,
    read_workbook,
    write_workbooks,
)

_WORKBOOKS: Final = (".xlsx", ".xlsm")
_SPREADSHEETS: Final = (*_WORKBOOKS, ".csv", ".xls", ".xlsb", ".ods")


def load_confirmations(run: Run) -> Confirmations:
    """Return what data managers confirmed, in the file or the folder that the settings name.

    A missing folder is made if the one that it is in exists.

    Raises:
        ConfirmationError: A CSV file cannot be read, a file is of another type, or missing.
        StructureError: A workbook, or the stored history, cannot be read.
    """
    settings = run.recipe.queries
    if settings is None or settings.confirmations is None:
        return Confirmations()
    path = Path(settings.confirmations)
    history = load_query_history(run)
    try:
        if not path.suffix and not path.exists() and path.parent.is_dir():
            path.mkdir()
        if not path.is_dir():
            return _read_file(path, history)
        # Lock files of spreadsheets begin with a tilde or a dot.
        files = [each for each in path.iterdir() if not each.name.startswith(("~", "."))]
    except OSError as error:
        raise ConfirmationError(
            f"The folder of the confirmations cannot be read ({type(error).__name__}). Allow the "
            f"user of this process to read it: {path}"
        ) from None
    sheets = sorted(
        each for each in files if each.suffix.lower() in _SPREADSHEETS and each.is_file()
    )
    if others := sorted(each.name for each in files if each not in sheets):
        run.context.log.warning(
            f"Not read in the folder of the confirmations: {list_names(others)}. Only XLSX and CSV "
            "files of the folder itself are."
        )
    given: list[Confirmation] = []
    refused: dict[str, str] = {}
    for file in sheets:
        one = _read_file(file, history)
        given += [replace(each, row=f"{file.name} {each.row}") for each in one.given]
        refused |= {f"{file.name} {row}": why for row, why in one.refused.items()}
    return Confirmations(given, refused)


def _read_file(path: Path, history: pa.Table | None) -> Confirmations:
    if path.suffix.lower() == ".csv":
        return read_confirmations(path, history)
    if path.suffix.lower() in _WORKBOOKS:
        return read_workbook(UPath(path), history)
    raise ConfirmationError(f"{path.name} is neither XLSX nor CSV. Save it as XLSX: {path}")


def check_workbooks(run: Run) -> None:
    """Raise an error if the workbooks that the settings ask for cannot be written.

    Raises:
        WorkbookError: Their folder cannot be written to.
    """
    settings = run.recipe.queries
    if settings is not None and settings.workbook is not None:
        check_folder(UPath(settings.workbook), run.recipe.tables.name)


def write_query_workbooks(
    run: Run, forms: AllForms, queries: pa.Table, confirmed: Confirmations
) -> None:
    """Write the open queries of all buckets as workbooks, if the settings name a folder.

    Args:
        run: The run.
        forms: All instruments of the run.
        queries: The open list of the run's buckets.
        confirmed: The confirmations that the run read. What workbooks hold besides is kept.

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
    identifiers = {field.field_name for field in run.project.fields if field.is_identifier}
    folder = UPath(settings.workbook)
    everything = pa.concat_tables([queries, *parts], promote_options="default")
    filled_in = {
        query_id: texts
        for query_id, texts in read_filled_in(folder, tables.name, everything).items()
        if query_id not in confirmed.by_query
    }
    if unread := sum(all(texts) for texts in filled_in.values()):
        run.context.log.warning(
            f"Rows that are filled in, in workbooks of {folder}: {unread}. They confirm nothing "
            "there. Copy these workbooks to where the option confirmations looks for them."
        )
    write_workbooks(
        everything,
        folder,
        tables.name,
        list(map(run.recipe.describe_rule, run.recipe.query_rules)),
        groups=groups,
        identifiers=sorted(identifiers),
        record_id_is_identifier=run.project.record_id_field in identifiers,
        filled_in=filled_in,
    )
