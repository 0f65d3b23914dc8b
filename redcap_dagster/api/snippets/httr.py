"""Snippets in R with `httr`."""

from redcap_dagster.api.snippets.quoting import quote_r
from redcap_dagster.api.snippets.request import APICall


def write_httr_snippet(call: APICall) -> str:
    """Return R that sends a request with `httr`, and makes `result` of the response.

    Args:
        call: The method with chosen values.
    """
    fields = [f"  token = Sys.getenv({quote_r(call.token_variable)})"]
    fields += [f"  {_quote_name(name)} = {quote_r(text)}" for name, text in call.request.items()]
    if call.file:
        fields.append(f"  file = upload_file({quote_r(call.file)})")
    encoding = "multipart" if call.file else "form"
    lines = [
        "library(httr)",
        "",
        "form <- list(",
        ",\n".join(fields),
        ")",
        f'response <- POST({quote_r(call.url)}, body = form, encode = "{encoding}")',
        "print(status_code(response))",
    ]
    if call.method.saved_as:
        lines += [
            "stop_for_status(response)",
            f'writeBin(content(response, as = "raw"), {quote_r(call.method.saved_as)})',
        ]
    else:
        lines += ['result <- content(response, as = "text", encoding = "UTF-8")', "cat(result)"]
    if call.returns_records:
        rows = write_read_csv("result", call.delimiter)
        lines += ["", "stop_for_status(response)", f"records <- {rows}"]
    return "\n".join(lines) + "\n"


def _quote_name(name: str) -> str:
    """Return the name of a parameter as R: in quotes if it is that of an array."""
    return quote_r(name) if "[" in name else name


def write_read_csv(text: str, delimiter: str) -> str:
    """Return R that reads a CSV as text, with the names of its columns as they are.

    Args:
        text: The CSV, as R.
        delimiter: Its delimiter.
    """
    separator = "" if delimiter == "," else f", sep = {quote_r(delimiter)}"
    # Only blank cells are NA: the text NA may be a missing data code.
    options = 'na.strings = "", colClasses = "character", check.names = FALSE'
    return f"read.csv(text = {text}{separator}, {options})"
