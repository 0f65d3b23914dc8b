"""The checks of a project's tables: which there are, where, how severe, and what may be changed."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import dagster as dg

from redcap_dagster.options import option
from redcap_dagster.project import REDCapProject, StructureError

Layer = Literal["metadata", "records", "clean"]
Severity = Literal["warn", "error"]


@option
class CheckSettings:
    """How one check is treated; None leaves it as it is by default.

    Attributes:
        enabled: Declare and evaluate the check. Defaults to true.
        severity: ``warn`` or ``error``, of a result that did not pass. Defaults to the check's.
        blocking: A failure of severity ``error`` stops what is made from the asset: from records,
            the clean table of the form; from others, the assets downstream. Defaults to the check's
            own. Where `keys_unique` blocks, the records are not stored either. An incomplete export
            is never stored, whatever is set here, as it is one snapshot of all forms.
    """

    enabled: bool | None = None
    severity: Severity | None = None
    blocking: bool | None = None

    def __post_init__(self) -> None:
        if self.severity not in (None, "warn", "error"):
            raise ValueError("severity is 'warn' or 'error'.")


@dataclass(frozen=True)
class Check:
    """A check as it is by default.

    Attributes:
        layer: The tables that have it: ``records`` or ``clean`` of each instrument, or the
            ``metadata`` table of the fields.
        severity: Of a result that did not pass.
        blocking: Whether a failure stops what is made of the asset.
        description: What it holds the table to.
    """

    layer: Layer
    severity: Severity
    blocking: bool
    description: str


CHECKS: Mapping[str, Check] = {
    "dictionary_drift": Check(
        "metadata",
        "warn",
        False,
        "Fields and choices are those that definitions were loaded with. By default an error where "
        "a field in use changed its type or its choices.",
    ),
    "keys_unique": Check(
        "records",
        "error",
        True,
        "No two rows have one key. If they have, and the check is blocking, the form's tables are "
        "not replaced.",
    ),
    "export_complete": Check(
        "records",
        "error",
        True,
        "Every record that REDCap lists came back. If not, no table of any form is replaced.",
    ),
    "nothing_hidden": Check(
        "records", "error", False, "Export rights keep no column of the form back."
    ),
    "rows_not_dropping": Check(
        "records", "error", False, "There are not many fewer rows than last time."
    ),
    "values_fit_types": Check(
        "clean", "warn", False, "Values fit the types of their columns; what does not is null."
    ),
    "choices_known": Check(
        "clean", "warn", False, "Codes are among the choices of their fields; others are null."
    ),
    "within_range": Check(
        "clean", "warn", False, "Values are within the minimum and maximum of the dictionary."
    ),
    "required_filled": Check(
        "clean",
        "warn",
        False,
        "Required fields without branching logic are filled where the form is Complete.",
    ),
    "inferred_types_stable": Check(
        "clean", "warn", False, "Types that are inferred from values are those of last time."
    ),
}
"""Every check, by name. None of their texts holds a value."""


@option
class CheckRules:
    """What is changed about the checks of a project.

    Attributes:
        settings: Settings by name of the check, for all instruments. Defaults to none.
        by_instrument: Settings by name of the instrument and name of the check; they overrule
            ``settings``. Defaults to none.
        max_drop: Largest part of its rows that a table may lose from one run to the next: for a
            form, before `rows_not_dropping` fails; for the census, before a run refuses to replace
            anything. Defaults to 0.2.
        allow_shrink: Replace tables even where records dropped by more than ``max_drop`` or columns
            are newly hidden by the user's rights. Defaults to false: such a run fails before it
            replaces anything. The run tag ``redcap/allow_shrink`` does the same for one run.

    Example:
        >>> rules = CheckRules(
        ...     settings={"nothing_hidden": CheckSettings(enabled=False)},
        ...     by_instrument={"visit": {"choices_known": CheckSettings(severity="error")}})
        >>> rules.settings_for("choices_known", "visit")
        CheckSettings(enabled=None, severity='error', blocking=None)
    """

    settings: Mapping[str, CheckSettings] = field(default_factory=dict)
    by_instrument: Mapping[str, Mapping[str, CheckSettings]] = field(default_factory=dict)
    max_drop: float = 0.2
    allow_shrink: bool = False

    def __post_init__(self) -> None:
        of_forms = [name for own in self.by_instrument.values() for name in own]
        unknown = sorted({*self.settings, *of_forms} - CHECKS.keys())
        if unknown:
            raise ValueError(f"There are no checks {unknown}; there are {sorted(CHECKS)}.")
        if any(CHECKS[name].layer == "metadata" for name in of_forms):
            raise ValueError("dictionary_drift is of the whole project, not of one instrument.")
        if not 0 <= self.max_drop <= 1:
            raise ValueError("max_drop is a part of the rows, from 0 to 1.")

    def settings_for(self, name: str, instrument: str | None = None) -> CheckSettings:
        """Say what is asked for a check; None stands for what is as it is by default.

        Args:
            name: The check.
            instrument: Where; None for the table of fields.
        """
        settled = CheckSettings()
        for group in (self.settings, self.by_instrument.get(instrument or "", {})):
            if name in group:
                given = vars(group[name]).items()
                told = {key: value for key, value in given if value is not None}
                settled = replace(settled, **told)
        return settled


def check_rules(rules: CheckRules, project: REDCapProject) -> None:
    """Refuse rules for instruments that the project does not have.

    Raises:
        StructureError: It names them, and those that there are.
    """
    known = [form.instrument_name for form in project.instruments]
    unknown = sorted(set(rules.by_instrument) - set(known))
    if unknown:
        raise StructureError(
            f"There are checks for instruments {unknown} that the project lacks; it has {known}."
        )


def default_check_specs(layer: Layer, table: str, key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """Give the specs of a table's checks, as they are by default.

    Args:
        layer: The table's layer.
        table: Its name: in ``metadata``, ``fields`` alone has a check; the census has none.
        key: The key of its asset.
    """
    if (layer == "metadata" and table != "fields") or table == "_census":
        return []
    return [
        dg.AssetCheckSpec(name, asset=key, description=check.description, blocking=check.blocking)
        for name, check in CHECKS.items()
        if check.layer == layer
    ]


def with_rules(
    specs: Iterable[dg.AssetCheckSpec],
    key: dg.AssetKey,
    rules: CheckRules,
    instrument: str | None,
) -> Iterator[dg.AssetCheckSpec]:
    """Treat the checks of a table as the rules ask, and leave out what they switch off.

    Raises:
        ValueError: A check is of another asset, or one that nothing here would evaluate.
    """
    for spec in specs:
        if spec.name not in CHECKS or spec.asset_key != key:
            raise ValueError(
                f"get_check_specs gave a check {spec.name!r} of {spec.asset_key.to_user_string()}, "
                f"which nothing evaluates; define it with dagster.asset_check. The checks that a "
                f"table can have are {sorted(CHECKS)}."
            )
        asked = rules.settings_for(spec.name, instrument)
        if asked.enabled is not False:
            yield spec if asked.blocking is None else spec._replace(blocking=asked.blocking)
