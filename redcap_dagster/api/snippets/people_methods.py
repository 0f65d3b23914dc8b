"""The methods of REDCap's API for users, roles and data access groups."""

from typing import Final

from redcap_dagster.api.snippets.shared import (
    make_export_method,
    make_import_method,
    make_line_method,
    make_name_parameter,
    make_names_parameter,
)

PEOPLE_METHODS: Final = (
    make_export_method("Export DAGs", "dag", "groups.export"),
    make_import_method("Import DAGs", "dag", "groups.import_"),
    make_line_method(
        "Delete DAGs",
        "dag",
        "delete",
        "groups.delete",
        make_names_parameter("dags", "Data access groups", required=True),
    ),
    make_line_method(
        "Switch DAG",
        "dag",
        "switch",
        "groups.switch",
        make_name_parameter("dag", "Data access group", "dags"),
    ),
    make_export_method("Export User-DAG Assignments", "userDagMapping", "groups.export_mapping"),
    make_import_method("Import User-DAG Assignments", "userDagMapping", "groups.import_mapping"),
    make_export_method("Export Users", "user", "users.export"),
    make_import_method("Import Users", "user", "users.import_"),
    make_line_method(
        "Delete Users",
        "user",
        "delete",
        "users.delete",
        make_names_parameter("users", "Users", required=True),
    ),
    make_export_method("Export User Roles", "userRole", "roles.export"),
    make_import_method("Import User Roles", "userRole", "roles.import_"),
    make_line_method(
        "Delete User Roles",
        "userRole",
        "delete",
        "roles.delete",
        make_names_parameter("roles", "User roles", required=True),
    ),
    make_export_method("Export User-Role Assignments", "userRoleMapping", "roles.export_mapping"),
    make_import_method("Import User-Role Assignments", "userRoleMapping", "roles.import_mapping"),
)
