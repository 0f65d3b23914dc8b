"""Snippets in R with `httr`."""

from collections.abc import Mapping

from redcap_dagster.api.snippets.method import Method
from redcap_dagster.api.snippets.quoting import quote_r


def write_httr_snippet(
    method: Method, request: Mapping[str, str], file: str, url: str, token_variable: str
) -> str:
    """Return R that sends a request with `httr`, and makes `result` of the response.

    Args:
        method: The method.
        request: Its raw parameters.
        file: The path of a file to send; blank for none.
        url: The URL of the API.
        token_variable: The environment variable that holds the token.
    """
    fields = [f"  token = Sys.getenv({quote_r(token_variable)})"]
    fields += [f"  {quote_r(name)} = {quote_r(text)}" for name, text in request.items()]
    if file:
        fields.append(f"  file = upload_file({quote_r(file)})")
    encoding = "multipart" if file else "form"
    lines = [
        "library(httr)",
        "",
        "form <- list(",
        ",\n".join(fields),
        ")",
        f'response <- POST({quote_r(url)}, body = form, encode = "{encoding}")',
        "print(status_code(response))",
    ]
    if method.saved_as:
        lines += [
            "stop_for_status(response)",
            f'writeBin(content(response, as = "raw"), {quote_r(method.saved_as)})',
        ]
        return "\n".join(lines) + "\n"
    lines.append('result <- content(response, as = "text", encoding = "UTF-8")')
    lines.append("cat(result)")
    return "\n".join(lines) + "\n"
