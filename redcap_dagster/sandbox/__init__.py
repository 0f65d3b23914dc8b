"""A REDCap on this machine, for testing pipelines: its API, pages for a browser, and projects.

Needs the extra ``sandbox``. By default it listens on the loopback address only, and its projects
are deleted when it stops.

Example:
    >>> import requests
    >>> from redcap_dagster.sandbox import Sandbox
    >>> with Sandbox() as sandbox:
    ...     token = sandbox.add_project(
    ...         exports={"metadata": [{"field_name": "record_id", "form_name": "visit"}]},
    ...         records=[{"record_id": "1", "visit_complete": "2"}],
    ...     )
    ...     query = {"token": token, "content": "record", "format": "csv"}
    ...     print(requests.post(sandbox.url, query, timeout=10).text)
    record_id,visit_complete
    1,2
    <BLANKLINE>
"""

try:
    from redcap_dagster.sandbox.http.app import HandledRequest
    from redcap_dagster.sandbox.server import Sandbox
except ModuleNotFoundError as error:
    missing = (error.name or "").partition(".")[0]
    if missing not in ("click", "jinja2", "starlette", "uvicorn"):
        raise
    raise ModuleNotFoundError(
        f"The sandbox needs {missing!r}, which is not installed: "
        "pip install 'redcap-dagster[sandbox]'",
        name=missing,
    ) from None

# Earlier name.
Answered = HandledRequest

__all__ = ["Answered", "HandledRequest", "Sandbox"]
