"""An instrument whose fields and checkbox take missing data codes, and its clean rows."""

from typing import Any

import pyarrow as pa

from redcap_dagster.project import REDCapProject
from redcap_dagster.tables import CleaningRules, CleanTable, clean, split_by_instrument
from tests.dictionary import field

PROJECT = REDCapProject.from_exports(
    metadata=[
        field("id", "f"),
        field("age", "f", validation="integer"),
        field("sure", "f", field_annotation="@NOMISSING"),
        field("race", "f", type="checkbox", choices="1, A | 2, B, or C | 3,"),
    ],
    info={"missing_data_codes": "UNK, Unknown | -7, Refused"},
    header=["f_timestamp"],
)
NO_BOX = {"race___1": "0", "race___2": "0", "race___3": "0", "race___unk": "0", "race____7": "0"}


def clean_rows(*rows: dict[str, str], **rules: Any) -> CleanTable:
    blank = {"id": "1", "age": "", "sure": "", "f_timestamp": "", "f_complete": "2", **NO_BOX}
    export = pa.table({name: [(blank | row)[name] for row in rows] for name in blank})
    # In two pieces, as exports come.
    export = pa.concat_tables([export.slice(0, 1), export.slice(1)])
    records = split_by_instrument(export, PROJECT)["f"]
    return clean(records, "f", PROJECT, CleaningRules(**rules))
