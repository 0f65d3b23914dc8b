"""The URLs of a project's pages in REDCap."""

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
