"""Snippets in Python with `requests`."""

from collections.abc import Mapping

from redcap_dagster.api.snippets.method import Method
from redcap_dagster.api.snippets.quoting import quote_python


def write_requests_snippet(
    method: Method, request: Mapping[str, str], file: str, url: str, token_variable: str
) -> str:
    """Return Python that sends a request and prints the response.

    Rows of records that are exported as CSV become a DataFrame as well.

    Args:
        method: The method.
        request: Its raw parameters.
        file: The path of a file to send; blank for none.
        url: The URL of the API.
        token_variable: The environment variable that holds the token.
    """
    is_table = method.content in ("record", "report") and request.get("format") == "csv"
    is_table &= method.action == "export"
    imports = ["import io"] if is_table else []
    imports += ["import os", ""]
    imports += ["import pandas as pd"] if is_table else []
    lines = [*imports, "import requests", "", "data = {"]
    lines.append(f'    "token": os.environ[{quote_python(token_variable)}],')
    lines += [f"    {quote_python(name)}: {quote_python(text)}," for name, text in request.items()]
    lines.append("}")
    address = quote_python(url)
    if file:
        lines += [
            f'with open({quote_python(file)}, "rb") as file:',
            '    files = {"file": file}',
            f"    response = requests.post({address}, data=data, files=files, timeout=600)",
        ]
    else:
        lines.append(f"response = requests.post({address}, data=data, timeout=600)")
    lines.append('print("HTTP status:", response.status_code)')
    if method.saved_as:
        lines += [
            "response.raise_for_status()",
            f'with open({quote_python(method.saved_as)}, "wb") as file:',
            "    file.write(response.content)",
        ]
    else:
        lines.append("print(response.text)")
    if is_table:
        delimiter = {"tab": "\t"}.get(
            request.get("csvDelimiter", ","), request.get("csvDelimiter", ",")
        )
        separator = "" if delimiter == "," else f", sep={quote_python(delimiter)}"
        lines += [
            "",
            "response.raise_for_status()",
            "rows = io.StringIO(response.text)",
            f"records = pd.read_csv(rows, dtype=str{separator})",
        ]
    return "\n".join(lines) + "\n"
