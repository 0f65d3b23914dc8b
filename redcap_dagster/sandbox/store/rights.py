"""The rights of a user, by the names of REDCap's user export, and refusals without them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Final, Self

from redcap_dagster.sandbox.protocol.parameters import RequestError

NO_ACCESS: Final = 0
FULL: Final = 1
DEIDENTIFIED: Final = 2
REMOVE_IDENTIFIERS: Final = 3

TEXTS: Final = ("data_access_group", "expiration")
"""Columns of `Rights` that are texts."""

BY_FORM: Final = ("forms", "forms_export")
"""Columns of `Rights` that are numbers by instrument."""


@dataclass(frozen=True, slots=True)
class Rights:
    """The rights of one user. Default to all.

    Rights that are not described here are 0 or 1.

    Attributes:
        data_access_group: Access group of the user, who then only sees its records. Defaults to a
            blank, with which the user sees all records.
        expiration: Day from which the user has no access, such as ``2030-12-31``. Defaults to a
            blank: never.
        forms: Right to each instrument: 0 none, 1 edit, 2 read only, 3 edit survey responses too;
            since REDCap 15.6 128 none, 129 read only, 130 edit. Instruments that are not named
            can be edited.
        forms_export: Export level of each instrument: 0 no access, 1 full, 2 de-identified,
            3 remove identifiers. Instruments that are not named are exported in full.

    Example:
        >>> rights = Rights.from_row({"forms_export": {"visit": 3}, "api_import": 0})
        >>> rights.get_export_level("visit"), rights.get_export_level("lab"), rights.api_import
        (3, 1, 0)
    """

    data_access_group: str = ""
    expiration: str = ""
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
        """Return the export level of an instrument."""
        return self.forms_export.get(form, FULL)

    def may_edit(self, form: str) -> bool:
        """Return whether the user may change values of an instrument, by old or new codes.

        Example:
            >>> [Rights(forms={"a": right}).may_edit("a") for right in (0, 2, 128, 129)]
            [False, False, False, False]
            >>> [Rights(forms={"a": right}).may_edit("a") for right in (1, 3, 130, 138)]
            [True, True, True, True]
        """
        right = self.forms.get(form, 1)
        return bool(right & (2 if right >= 128 else 1))

    def may_view(self, form: str) -> bool:
        """Return whether the user may see values of an instrument on REDCap's pages.

        Example:
            >>> [Rights(forms={"a": right}).may_view("a") for right in (0, 128, 2, 129, 3, 130)]
            [False, False, True, True, True, True]
        """
        return self.forms.get(form, 1) not in (0, 128)

    def with_changes(self, row: Mapping[str, Any]) -> Self:
        """Return these rights with the changes of a row, whose numbers may be texts.

        Raises:
            ValueError: A name is not a right, or a value is not a number.
        """
        if unknown := sorted(set(row) - {column.name for column in fields(Rights)}):
            raise ValueError(f"A user export has no rights of these names: {', '.join(unknown)}.")
        given: dict[str, Any] = {}
        for name, value in row.items():
            try:
                if name in TEXTS:
                    given[name] = str(value or "")
                elif name in BY_FORM:
                    given[name] = {form: int(level) for form, level in value.items()}
                else:
                    given[name] = int(value)
            except (AttributeError, TypeError, ValueError):
                raise ValueError(f"The right {name} has an invalid value; give a number.") from None
        return replace(self, **given)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Return all rights, with the changes of a row; see `with_changes`."""
        return cls().with_changes(row)

    def to_json(self) -> str:
        """Return the rights as text, for `from_json`."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the rights that `to_json` wrote."""
        return cls(**json.loads(text))


def require_edit_rights(rights: Rights, forms: Iterable[str]) -> None:
    """Refuse changes of instruments that the user may not edit; the refusal is a guess.

    Raises:
        RequestError: The user does not have the right to one of them.
    """
    refused = sorted({form for form in forms if not rights.may_edit(form)})
    require(
        not refused,
        403,
        f"You do not have View & Edit privileges to these instruments: {', '.join(refused)}",
    )


def require(right: int, status: int, message: str) -> None:
    """Refuse a request if the user lacks a right.

    Raises:
        RequestError: The right is 0.
    """
    if not right:
        raise RequestError(status, message)
