"""What a user of a project may do, by the names of REDCap's user export."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Final, Self

from redcap_dagster.sandbox.protocol.parameters import RequestError

NO_ACCESS: Final = 0
FULL: Final = 1
DEIDENTIFIED: Final = 2
REMOVE_IDENTIFIERS: Final = 3


@dataclass(frozen=True, slots=True)
class Rights:
    """The rights of one user: by default all of them.

    Flags are 0 and 1, as a user export has them.

    Attributes:
        data_access_group: The group whose records are all that the user sees; blank for none.
        forms: The right to each form: 0 none, 1 edit, 2 read only, 3 edit survey responses too;
            since REDCap 15.6 128 none, 129 read only, 130 edit. One that is not named can be
            edited.
        forms_export: The export level of each form: 0 no access, 1 full, 2 de-identified,
            3 remove identifiers; one that is not named is exported in full.

    Example:
        >>> rights = Rights.from_row({"forms_export": {"visit": 3}, "api_import": 0})
        >>> rights.get_export_level("visit"), rights.get_export_level("lab"), rights.api_import
        (3, 1, 0)
    """

    data_access_group: str = ""
    design: int = 1
    alerts: int = 1
    user_rights: int = 1
    data_access_groups: int = 1
    reports: int = 1
    stats_and_charts: int = 1
    manage_survey_participants: int = 1
    calendar: int = 1
    data_import_tool: int = 1
    data_comparison_tool: int = 1
    logging: int = 1
    email_logging: int = 1
    file_repository: int = 1
    data_quality_create: int = 1
    data_quality_execute: int = 1
    api_export: int = 1
    api_import: int = 1
    api_modules: int = 1
    mobile_app: int = 1
    mobile_app_download_data: int = 1
    record_create: int = 1
    record_rename: int = 1
    record_delete: int = 1
    lock_records_all_forms: int = 1
    lock_records: int = 1
    lock_records_customization: int = 1
    random_setup: int = 1
    random_dashboard: int = 1
    random_perform: int = 1
    forms: Mapping[str, int] = field(default_factory=dict)
    forms_export: Mapping[str, int] = field(default_factory=dict)

    def get_export_level(self, form: str) -> int:
        """How much of a form may be exported."""
        return self.forms_export.get(form, FULL)

    def may_edit(self, form: str) -> bool:
        """Whether the values of a form may be changed, by the codes of either age.

        Example:
            >>> [Rights(forms={"a": right}).may_edit("a") for right in (0, 2, 128, 129)]
            [False, False, False, False]
            >>> [Rights(forms={"a": right}).may_edit("a") for right in (1, 3, 130, 138)]
            [True, True, True, True]
        """
        right = self.forms.get(form, 1)
        return bool(right & (2 if right >= 128 else 1))

    def with_changes(self, row: Mapping[str, Any]) -> Self:
        """These rights with those that a row names; its numbers may be texts.

        Raises:
            ValueError: A name that is no right, or a value that is no number.
        """
        if unknown := sorted(set(row) - {column.name for column in fields(Rights)}):
            raise ValueError(f"Not rights of a user: {', '.join(unknown)}.")
        given: dict[str, Any] = {}
        for name, value in row.items():
            try:
                if name == "data_access_group":
                    given[name] = str(value or "")
                elif name in ("forms", "forms_export"):
                    given[name] = {form: int(level) for form, level in value.items()}
                else:
                    given[name] = int(value)
            except (AttributeError, TypeError, ValueError):
                raise ValueError(f"The right {name} has a value that it cannot have.") from None
        return replace(self, **given)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """All rights but those that a row names; see `with_changes`."""
        return cls().with_changes(row)

    def to_json(self) -> str:
        """Write the rights, for `from_json`."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        return cls(**json.loads(text))


def require_edit_rights(rights: Rights, forms: Iterable[str]) -> None:
    """Refuse to change forms that the user may not edit: that it is done, and how, is a guess.

    Raises:
        RequestError: The right to one is not there.
    """
    refused = sorted({form for form in forms if not rights.may_edit(form)})
    require(
        not refused,
        403,
        f"You do not have View & Edit privileges to these instruments: {', '.join(refused)}",
    )


def require(right: int, status: int, message: str) -> None:
    """Refuse a request for want of a right.

    Raises:
        RequestError: The right is not there.
    """
    if not right:
        raise RequestError(status, message)
