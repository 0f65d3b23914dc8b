"""Changes whose response was lost, so that REDCap may have made them."""

from redcap_dagster.api.errors import (
    EmptyResponseError,
    MalformedResponseError,
    NetworkError,
    NotUTF8Error,
    OutcomeUnknownError,
    REDCapError,
    ServerError,
    ServerMemoryError,
    WebPageError,
)

LOST_RESPONSES = (
    NetworkError,
    ServerError,
    ServerMemoryError,
    EmptyResponseError,
    WebPageError,
    MalformedResponseError,
    NotUTF8Error,
)
"""Errors after which REDCap may have made a change."""


def may_have_been_made(error: REDCapError) -> bool:
    """Return whether REDCap may have made the change that failed with one of `LOST_RESPONSES`."""
    if isinstance(error, NetworkError):
        return error.sent
    return not (isinstance(error, ServerError) and error.status == 429)


def unknown_outcome(request: str, lost: REDCapError) -> OutcomeUnknownError:
    """Return the error for a change whose response was lost.

    Args:
        request: The kind of request, for the message.
        lost: What happened to the response.
    """
    return OutcomeUnknownError(
        f"{request}: the response was lost ({type(lost).__name__}), so REDCap may have made "
        "the change. Check the project before you repeat the request.",
        request=request,
        server_message=lost.server_message,
    )
