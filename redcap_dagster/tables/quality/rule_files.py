"""The project's own rules from a file: the CSV of REDCap's Data Quality page, or a project XML."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from redcap_dagster.project.name_lists import list_names
from redcap_dagster.project.xml.reader import read_odm
from redcap_dagster.tables.quality.own_rules import QualityRule

_DELIMITERS: Final = ",;\t|^"
"""The delimiters that a server or a user can choose for CSV files."""


def read_quality_rules(path: str | Path) -> tuple[QualityRule, ...]:
    """Return the rules of a CSV that REDCap's Data Quality page exported, or of a project XML.

    Args:
        path: Path of the file, which ends with ``.csv`` or ``.xml``.

    Raises:
        ValueError: The file cannot be read, or is not such a file.
    """
    path = Path(path)
    try:
        if path.suffix.lower() == ".xml":
            rows: Sequence[Mapping[str, str]] = read_odm(path).quality_rules
        else:
            rows = _read_csv(path)
    except OSError as error:
        raise ValueError(
            f"The quality rules {path.name} cannot be read: {error.strerror}. Correct the path."
        ) from None
    return tuple(
        QualityRule(row["rule_name"].strip(), row["rule_logic"])
        for row in rows
        if (row.get("rule_name") or "").strip() and (row.get("rule_logic") or "").strip()
    )


def _read_csv(path: Path) -> Sequence[Mapping[str, str]]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(
            f"The quality rules {path.name} are not UTF-8. Export them again from REDCap."
        ) from None
    delimiter = max(_DELIMITERS, key=text.partition("\n")[0].count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        rows = list(reader)
        missing = {"rule_name", "rule_logic"} - set(reader.fieldnames or ())
    except csv.Error:
        raise ValueError(
            f"The quotes of the quality rules {path.name} do not match. Write quotes within a cell "
            "twice, or export the rules again from REDCap."
        ) from None
    if missing:
        raise ValueError(
            f"The quality rules {path.name} lack the columns {sorted(missing)}. Export them as CSV "
            "from REDCap's Data Quality page."
        )
    if long := [row["rule_name"] for row in rows if None in row]:
        raise ValueError(
            f"Rows of the quality rules {path.name} have more cells than the header: "
            f"{list_names(long)}. Put quotes around logic that holds the delimiter."
        )
    return rows
