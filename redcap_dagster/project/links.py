"""The URLs of a project's pages in REDCap."""

from urllib.parse import urlencode

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


def build_form_url(
    url: str,
    project: REDCapProject,
    instrument: str,
    record: str,
    *,
    event: str = "",
    instance: int | None = None,
    field: str = "",
) -> str | None:
    """Return the URL of a record's form in REDCap.

    REDCap names an event by its id, which older versions do not export. The URL is then that of the
    record's home page, unless the instrument has one event only.

    Args:
        url: URL of the API.
        project: Structure of the project.
        instrument: Name of the instrument.
        record: Record id.
        event: Unique event name. Defaults to blank, for a classic project.
        instance: Number of the instance. Defaults to None, outside of repeating instruments and
            events.
        field: Name of the field to which the page scrolls. Defaults to blank, for none.

    Returns:
        The URL; None if the API's URL, REDCap's version or the project id is unknown.

    Example:
        >>> project = REDCapProject.from_exports(
        ...     metadata=[{"field_name": "id", "form_name": "visit"}],
        ...     info={"project_id": 12}, version="14.7.3")
        >>> build_form_url("https://redcap.example.edu/api/", project, "visit", "A 1", field="age")
        ... # doctest: +ELLIPSIS
        'https://redcap.example.edu/.../DataEntry/index.php?pid=12&id=A+1&page=visit&fldfocus=age'
    """
    event_id = next(
        (row.event_id for row in project.events if row.unique_event_name == event), None
    )
    is_ambiguous = project.is_longitudinal and len(project.designated_events(instrument)) > 1
    if is_ambiguous and event_id is None:
        home = build_page_url(url, project, "DataEntry/record_home.php")
        return home and f"{home}&{urlencode({'id': record})}"
    page = build_page_url(url, project, "DataEntry/index.php")
    named = {
        "id": record,
        "event_id": event_id,
        "page": instrument,
        "instance": instance,
        "fldfocus": field,
    }
    return page and f"{page}&{urlencode({name: value for name, value in named.items() if value})}"
