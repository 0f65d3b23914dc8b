"""Snippets in a shell with `curl`."""

from redcap_dagster.api.snippets.quoting import quote_shell
from redcap_dagster.api.snippets.request import APICall


def write_curl_snippet(call: APICall) -> str:
    """Return a command that sends a request and writes the response.

    The token goes through a pipe, as other users of a machine can read the words of a command.

    Args:
        call: The method with chosen values.
    """
    option, token = (
        ("--form-string", "--form 'token=<-'")
        if call.file
        else ("--data-urlencode", "--data-urlencode token@-")
    )
    words = [
        token,
        *(f"{option} {quote_shell(f'{name}={text}')}" for name, text in call.request.items()),
    ]
    if call.file:
        path = call.file.replace("\\", "\\\\").replace('"', '\\"')
        part = f'file=@"{path}"'
        words.append(f"--form {quote_shell(part)}")
    if call.method.saved_as:
        words.append(f"--output {quote_shell(call.method.saved_as)}")
    words.append(quote_shell(call.url))
    first = f'printf %s "${call.token_variable}" | curl --silent --show-error'
    return " \\\n  ".join([first, *words]) + "\n"
