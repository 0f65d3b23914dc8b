"""The form of an API token, checked before it is sent."""

import re


def check_token(token: str) -> str:
    """Return a token without surrounding blanks.

    Raises:
        ValueError: It does not have the form of a token. The message does not show it.
    """
    if not token:  # as os.environ.get returns None
        raise ValueError(
            "token: is missing. If it is read from an environment variable, set this variable."
        )
    stripped = token.strip()
    if not re.fullmatch(r"[0-9A-Za-z]{32}|[0-9A-Za-z]{64}", stripped):
        raise ValueError(
            f"token: has {len(stripped)} characters, or characters other than letters and digits. "
            "A token has 32 letters and digits (a super token 64). Copy it again from the "
            "project's API page."
        )
    return stripped
