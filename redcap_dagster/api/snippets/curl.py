"""Snippets in a shell with `curl`."""

import re

from redcap_dagster.api.snippets.quoting import quote_shell
from redcap_dagster.api.snippets.request import APICall

_ENCODED = re.compile("[^A-Za-z0-9_.,-]").search
"""Finds what a form has to encode."""


def write_curl_snippet(call: APICall) -> str:
    """Return a command that sends a request and writes the response.

    The token goes through a pipe, as other users of a machine can read the words of a command.
    A file is saved only if REDCap sends it.

    Args:
        call: The method with chosen values.
    """
    words = ["--form 'token=<-'" if call.file else "--data-urlencode token@-"]
    for name, text in call.request.items():
        plain = "--data-urlencode" if _ENCODED(text) else "--data"
        option = "--form-string" if call.file else plain
        words.append(f"{option} {quote_shell(f'{name}={text}')}")
    if call.file:
        path = call.file.replace("\\", "\\\\").replace('"', '\\"')
        part = f'file=@"{path}"'
        words.append(f"--form {quote_shell(part)}")
    if call.method.saved_as:
        # An error is not saved as the file.
        words.append(f"--fail --output {quote_shell(call.method.saved_as)}")
    words.append(quote_shell(call.url))
    first = f'printf %s "${call.token_variable}" | curl --silent --show-error'
    return " \\\n  ".join([first, *words]) + "\n"
