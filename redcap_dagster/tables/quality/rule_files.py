"""The project's own rules from a file: the CSV of REDCap's Data Quality page, or a project XML."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from redcap_dagster.project.xml.reader import read_odm
from redcap_dagster.tables.quality.own_rules import QualityRule


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


def _read_csv(path: Path) -> list[Mapping[str, str]]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(
            f"The quality rules {path.name} are not UTF-8. Export them again from REDCap."
        ) from None
    rows = csv.DictReader(io.StringIO(text, newline=""))
    missing = {"rule_name", "rule_logic"} - set(rows.fieldnames or ())
    if missing:
        raise ValueError(
            f"The quality rules {path.name} lack the columns {sorted(missing)}. Export them as CSV "
            "from REDCap's Data Quality page."
        )
    return list(rows)
