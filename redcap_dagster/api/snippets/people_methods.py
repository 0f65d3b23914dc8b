"""The methods of REDCap's API for users, roles and data access groups."""

from typing import Final

from redcap_dagster.api.snippets.shared import (
    export_method,
    import_method,
    line_method,
    one_name,
    several_names,
)

PEOPLE_METHODS: Final = (
    export_method("Export DAGs", "dag", "groups.export"),
    import_method("Import DAGs", "dag", "groups.import_"),
    line_method(
        "Delete DAGs",
        "dag",
        "delete",
        "groups.delete",
        several_names("dags", "Data access groups", required=True),
    ),
    line_method(
        "Switch DAG", "dag", "switch", "groups.switch", one_name("dag", "Data access group", "dags")
    ),
    export_method("Export User-DAG Assignments", "userDagMapping", "groups.export_mapping"),
    import_method("Import User-DAG Assignments", "userDagMapping", "groups.import_mapping"),
    export_method("Export Users", "user", "users.export"),
    import_method("Import Users", "user", "users.import_"),
    line_method(
        "Delete Users",
        "user",
        "delete",
        "users.delete",
        several_names("users", "Users", required=True),
    ),
    export_method("Export User Roles", "userRole", "roles.export"),
    import_method("Import User Roles", "userRole", "roles.import_"),
    line_method(
        "Delete User Roles",
        "userRole",
        "delete",
        "roles.delete",
        several_names("roles", "User roles", required=True),
    ),
    export_method("Export User-Role Assignments", "userRoleMapping", "roles.export_mapping"),
    import_method("Import User-Role Assignments", "userRoleMapping", "roles.import_mapping"),
)
