"""The rows of a response in CSV or JSON, which faults count and drop."""

import json
import re

from redcap_dagster.sandbox.http.fault import OutgoingResponse

# A row of CSV with the newline that ends it; newlines inside quotes are part of the row.
_ROW = re.compile(rb'(?:[^"\n]++|"[^"]*+")++\n?')
_QUOTED = re.compile(rb'"[^"]*+"')
_DELIMITER = re.compile(rb"[,;\t|^]")


def is_csv(response: OutgoingResponse) -> bool:
    """Return whether a response is CSV with a header; newer servers send none without rows."""
    is_table = response.headers.get("content-type", "").startswith("text/csv")
    return is_table and b"\n" in response.body.lstrip()


def split_csv(body: bytes) -> list[bytes]:
    """Return the header and the rows of CSV, byte for byte."""
    return _ROW.findall(body)


def measure_rows(response: OutgoingResponse) -> list[tuple[object, int]]:
    """Return the first cell and the number of cells of each row.

    Returns:
        No rows for XML, errors and other content.
    """
    if response.status != 200:
        return []
    if is_csv(response):
        header, *found = split_csv(response.body)
        columns = len(_DELIMITER.split(_QUOTED.sub(b"", header)))
        return [(_DELIMITER.split(row, 1)[0], columns) for row in found]
    if not response.headers.get("content-type", "").startswith("application/json"):
        return []
    content = json.loads(response.body)
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        return []
    return [(next(iter(row.values())), len(row)) for row in content]
