"""A project's first page: its instruments, events, users, access groups and fields."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from redcap_dagster.sandbox.pages.projects import count_records
from redcap_dagster.sandbox.pages.visit import HOME, Page, Visit
from redcap_dagster.sandbox.people.data_access_groups import load_groups


def show_project(visit: Visit) -> Response:
    """Show a project; users and access groups only with the right to them, as by the API."""
    project = visit.open_project()
    store, rights = visit.store, project.rights
    return visit.show(
        "project.html",
        project=project,
        here=HOME,
        created="created" in visit.query,
        records=count_records(visit, project),
        field_counts=Counter(field.form_name for field in project.structure.fields),
        users=store.list_users(project.id) if rights.user_rights else None,
        groups=load_groups(store, project).values() if rights.data_access_groups else None,
    )


PAGES: Final[Mapping[tuple[str, str], Page]] = {("GET", HOME): show_project}
