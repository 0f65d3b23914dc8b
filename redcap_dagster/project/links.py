"""The addresses of a project's pages in REDCap."""

from redcap_dagster.project.model import REDCapProject


def build_page_url(url: str, project: REDCapProject, path: str = "index.php") -> str | None:
    """Give the address of a page of a project; its home by default.

    The form of these links is a guess from those that other clients make.

    Args:
        url: The address of the API.
        project: The structure.
        path: The page.

    Returns:
        The address; None where address, version or project id is unknown.

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
