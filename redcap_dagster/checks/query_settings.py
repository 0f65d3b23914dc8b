"""Which findings become queries, and what the list of them shows."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from upath import UPath

from redcap_dagster.checks.checks import CHECKS, Severity
from redcap_dagster.options import option, shown_name

QUERY_RULES: Final = (
    "required_filled",
    "values_fit_types",
    "within_range",
    "hidden_filled",
    "choices_known",
    "calculations_correct",
)
"""The rules whose findings are queries by default: B, C, D, F, G and H of REDCap's."""

_NOT_OF_ROWS: Final = ("labels_distinct", "inferred_types_stable")
"""Checks of clean tables that judge columns, not rows."""


@option
class QuerySettings:
    """Which findings become queries, and what the list of them shows.

    Attributes:
        rules: Names of the rules whose findings are queries. Defaults to required_filled,
            values_fit_types, within_range, hidden_filled, choices_known, calculations_correct, and
            the project's own rules.
        severity: Severity of all queries, ``warn`` or ``error``. Defaults to that of each check.
        show_values: Whether the open list has the values of the fields, except for identifiers.
            Defaults to false.
        confirmations: Path of a file, or of a folder of files, with queries that a data manager
            looked at and left as they are: a workbook that was filled in, or a CSV file with the
            columns ``query_id``, ``who`` and ``why``. In YAML, relative to the root of the Dagster
            project. Defaults to none.
        workbook: Folder for the open queries as XLSX, one file for each access group. In YAML,
            relative to the root of the Dagster project. Defaults to none.

    Example:
        >>> QuerySettings(rules=["within_range"]).list_rules(["visits_in_order"])
        ('within_range',)
    """

    rules: Sequence[str] | None = None
    severity: Severity | None = None
    show_values: bool = False
    confirmations: str | None = None
    workbook: str | None = None

    def list_rules(self, own: Collection[str]) -> tuple[str, ...]:
        """Return the names of the rules whose findings are queries.

        Args:
            own: Names of the project's own rules.
        """
        if self.rules is not None:
            return tuple(self.rules)
        return (*(name for name in QUERY_RULES if name in CHECKS), *own)

    def for_demo(self) -> "QuerySettings":
        """Return the settings of a demo: the names of its folders begin with ``demo_``.

        So no site gets made-up queries. A single file of confirmations is not read, as it names
        queries of the project's own records.

        Example:
            >>> QuerySettings(workbook="/data/to_mend", confirmations="/data/back.csv").for_demo()
            ... # doctest: +ELLIPSIS
            QuerySettings(..., confirmations=None, workbook='/data/demo_to_mend')
        """
        confirmations = self.confirmations
        if confirmations is not None and UPath(confirmations).suffix:
            confirmations = None
        return replace(
            self,
            workbook=self.workbook and _place_beside(self.workbook),
            confirmations=confirmations and _place_beside(confirmations),
        )

    def check_rules(self, own: Collection[str]) -> None:
        """Raise `ValueError` for the name of a rule that does not exist, or one folder for both.

        Args:
            own: Names of the project's own rules.
        """
        if self.workbook is not None and self.workbook == self.confirmations:
            raise ValueError(
                "queries: workbook and confirmations are the same folder, whose files each run "
                "replaces. Name another folder for the files that come back."
            )
        of_values = [
            name
            for name, check in CHECKS.items()
            if check.layer == "clean" and name not in _NOT_OF_ROWS
        ]
        known = [*of_values, *own]
        if unknown := [shown_name(name) for name in self.rules or () if name not in known]:
            raise ValueError(
                f"queries: there are no rules {unknown} that judge rows. Correct the names: there "
                f"are {', '.join(known)}."
            )


def _place_beside(folder: str) -> str:
    path = UPath(folder)
    return str(path.with_name(f"demo_{path.name}"))
