"""Snippets in a shell with `curl`."""

from collections.abc import Mapping

from redcap_dagster.api.snippets.method import Method
from redcap_dagster.api.snippets.quoting import quote_shell


def write_curl_snippet(
    method: Method, request: Mapping[str, str], file: str, url: str, token_variable: str
) -> str:
    """Return a command that sends a request and writes the response.

    The token goes through a pipe, as other users of a machine can read the words of a command.

    Args:
        method: The method.
        request: Its raw parameters.
        file: The path of a file to send; blank for none.
        url: The URL of the API.
        token_variable: The environment variable that holds the token.
    """
    option, token = (
        ("--form-string", "--form 'token=<-'")
        if file
        else ("--data-urlencode", "--data-urlencode token@-")
    )
    words = [
        token,
        *(f"{option} {quote_shell(f'{name}={text}')}" for name, text in request.items()),
    ]
    if file:
        path = file.replace("\\", "\\\\").replace('"', '\\"')
        part = f'file=@"{path}"'
        words.append(f"--form {quote_shell(part)}")
    if method.saved_as:
        words.append(f"--output {quote_shell(method.saved_as)}")
    words.append(quote_shell(url))
    first = f'printf %s "${token_variable}" | curl --silent --show-error'
    return " \\\n  ".join([first, *words]) + "\n"
