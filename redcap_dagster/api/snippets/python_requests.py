"""Snippets in Python with `requests`."""

from redcap_dagster.api.snippets.quoting import quote_python
from redcap_dagster.api.snippets.request import APICall

_ONLY_BLANKS = 'dtype=str, na_values="", keep_default_na=False'
"""The arguments by which pandas reads texts, of which only blank ones are missing."""


def write_requests_snippet(call: APICall) -> str:
    """Return Python that sends a request and prints the response.

    Rows of records that are exported as CSV become a DataFrame as well.

    Args:
        call: The method with chosen values.
    """
    pairs = [f"{quote_python(name)}: {quote_python(text)}," for name, text in call.request.items()]
    lines = [
        *(["import io"] if call.returns_records else []),
        "import os",
        "",
        *(["import pandas as pd"] if call.returns_records else []),
        "import requests",
        "",
        "data = {",
        f'    "token": os.environ[{quote_python(call.token_variable)}],',
        *(f"    {pair}" for pair in pairs),
        "}",
    ]
    address = quote_python(call.url)
    if call.file:
        lines += [
            f'with open({quote_python(call.file)}, "rb") as file:',
            '    files = {"file": file}',
            f"    response = requests.post({address}, data=data, files=files, timeout=600)",
        ]
    else:
        lines.append(f"response = requests.post({address}, data=data, timeout=600)")
    lines.append('print("HTTP status:", response.status_code)')
    if call.method.saved_as:
        lines += [
            "response.raise_for_status()",
            f'with open({quote_python(call.method.saved_as)}, "wb") as file:',
            "    file.write(response.content)",
        ]
    else:
        lines.append("print(response.text)")
    if call.returns_records:
        separator = "" if call.delimiter == "," else f", sep={quote_python(call.delimiter)}"
        lines += [
            "",
            "response.raise_for_status()",
            "rows = io.StringIO(response.text)",
            "# Only blank cells are missing: NA may be a missing data code.",
            f"records = pd.read_csv(rows, {_ONLY_BLANKS}{separator})",
        ]
    return "\n".join(lines) + "\n"
