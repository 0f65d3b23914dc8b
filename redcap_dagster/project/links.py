"""The URLs of a project's pages in REDCap."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import quote_plus

from redcap_dagster.project.model import REDCapProject


def build_page_url(url: str, project: REDCapProject, path: str = "index.php") -> str | None:
    """Return the URL of a page of a project in REDCap.

    How the URL is built is a guess from what other clients do.

    Args:
        url: URL of the API.
        project: Structure of the project.
        path: Path of the page. Defaults to the project's home page.

    Returns:
        The URL; None if the API's URL, REDCap's version or the project id is unknown.

    Example:
        >>> project = REDCapProject.from_exports(
        ...     metadata=[{"field_name": "id", "form_name": "a"}],
        ...     info={"project_id": 12}, version="14.7.3")
        >>> build_page_url("https://redcap.example.edu/api/", project)
        'https://redcap.example.edu/redcap_v14.7.3/index.php?pid=12'
    """
    if not (url and project.version and project.info.project_id):
        return None
    home = url.rstrip("/").removesuffix("/api")
    return f"{home}/redcap_v{project.version}/{path}?pid={project.info.project_id}"


class RecordForm(NamedTuple):
    """A form of a record, as `build_form_urls` takes it.

    Attributes:
        instrument: Name of the instrument.
        record: Record id.
        event: Unique event name. Defaults to blank, for a classic project.
        instance: Number of the instance. Defaults to None, outside of repeating instruments and
            events.
        field: Name of the field to which the page scrolls. Defaults to blank, for none.
    """

    instrument: str
    record: str
    event: str = ""
    instance: int | None = None
    field: str = ""


def build_form_urls(
    url: str, project: REDCapProject, forms: Iterable[RecordForm]
) -> list[str | None]:
    """Return the URLs of records' forms in REDCap, which hold the record ids.

    REDCap names an event by its id, which older versions do not export. The URL is then that of the
    record's home page, unless the instrument has one event only.

    Args:
        url: URL of the API.
        project: Structure of the project.
        forms: The forms.

    Returns:
        The URLs; all are None if the API's URL, REDCap's version or the project id is unknown.

    Example:
        >>> project = REDCapProject.from_exports(
        ...     metadata=[{"field_name": "id", "form_name": "visit"}],
        ...     info={"project_id": 12}, version="14.7.3")
        >>> forms = [RecordForm("visit", "A 1", field="age")]
        >>> build_form_urls("https://redcap.example.edu/api/", project, forms)
        ... # doctest: +ELLIPSIS
        ['https://redcap.example.edu/.../DataEntry/index.php?pid=12&id=A+1&page=visit&fldfocus=age']
    """
    page = build_page_url(url, project, "DataEntry/index.php")
    home = build_page_url(url, project, "DataEntry/record_home.php")
    if page is None or home is None:
        return [None for _ in forms]
    event_ids = {row.unique_event_name: row.event_id for row in project.events}
    event_counts = Counter(row.form for row in project.form_events)
    urls: list[str | None] = []
    for form in forms:
        event_id = event_ids.get(form.event)
        record = f"id={quote_plus(form.record)}"
        if event_id is None and event_counts[form.instrument] > 1:
            urls.append(f"{home}&{record}")
            continue
        parts = (
            page,
            record,
            f"event_id={event_id}" if event_id is not None else "",
            f"page={form.instrument}",
            f"instance={form.instance}" if form.instance is not None else "",
            f"fldfocus={form.field}" if form.field else "",
        )
        urls.append("&".join(filter(None, parts)))
    return urls
