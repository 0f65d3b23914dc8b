"""The settings of a project's checks, and which checks a table has by them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import Annotated

import dagster as dg
from pydantic import Field

from redcap_dagster.checks.checks import CHECKS, Severity
from redcap_dagster.options import option
from redcap_dagster.project import REDCapProject, StructureError
from redcap_dagster.tables import CleaningRules
from redcap_dagster.tables.quality import (
    QualityRule,
    RequiredOf,
    read_quality_rules,
)


@option
class CheckSettings:
    """Settings of one check; an option that is not set keeps the check's default.

    Attributes:
        enabled: Declare and evaluate the check. Defaults to the check's: true for most.
        severity: ``warn`` or ``error``, of a result that did not pass. Defaults to the check's.
        blocking: A failure of severity ``error`` stops what is made from the asset: from records,
            the clean table of the instrument; from others, the assets downstream. Defaults to the
            check's own. Where `keys_unique` blocks, the records are not stored either. An
            incomplete export is never stored, whatever is set here, as it is one snapshot of all
            instruments.
        of: The rows that `required_filled` judges; no other check has it. ``complete``: those that
            are marked Complete. ``saved``: all that were saved. ``all``: also those of instruments
            that were never saved, as REDCap's own rule does; these are in the tables if the
            cleaning rules say ``keep_unsaved``. Defaults to ``complete``.
    """

    enabled: bool | None = None
    severity: Severity | None = None
    blocking: bool | None = None
    of: RequiredOf | None = None


@option
class CheckRules:
    """Settings of the checks of a project.

    Attributes:
        settings: Settings by name of the check, for all instruments. Defaults to none.
        by_instrument: Settings by name of the instrument and name of the check; they overrule
            ``settings``. Defaults to none.
        max_drop: Largest part of its rows that a table may lose from one run to the next: before
            `rows_not_dropping` fails, and before a run refuses to replace anything; the same for
            the number of records that REDCap lists. Defaults to 0.2.
        allow_shrink: Replace tables even where records or the rows of an instrument dropped by more
            than ``max_drop``, or columns are newly hidden by the user's rights. Defaults to false:
            such a run fails before it replaces anything. The run tag ``redcap/allow_shrink`` does
            the same for one run.
        own_rules: The project's own rules of data quality. Defaults to none.
        own_rules_file: Path of a file with more of them: the CSV that REDCap's Data Quality page
            exports, or a project XML. In YAML, relative to the root of the Dagster project.
            Defaults to none.

    Example:
        >>> rules = CheckRules(
        ...     settings={"nothing_hidden": CheckSettings(enabled=False)},
        ...     by_instrument={"visit": {"choices_known": CheckSettings(severity="error")}})
        >>> rules.settings_for("choices_known", "visit")
        CheckSettings(enabled=None, severity='error', blocking=None, of=None)
    """

    settings: Mapping[str, CheckSettings] = field(default_factory=dict)
    by_instrument: Mapping[str, Mapping[str, CheckSettings]] = field(default_factory=dict)
    max_drop: Annotated[float, Field(ge=0, le=1)] = 0.2
    allow_shrink: bool = False
    own_rules: Sequence[QualityRule] = ()
    own_rules_file: str = ""

    def __post_init__(self) -> None:
        of_forms = [name for own in self.by_instrument.values() for name in own]
        unknown = sorted({*self.settings, *of_forms} - CHECKS.keys())
        if unknown:
            raise ValueError(f"There are no checks {unknown}; there are {sorted(CHECKS)}.")
        groups = (self.settings, *self.by_instrument.values())
        with_of = {name for own in groups for name, given in own.items() if given.of is not None}
        if with_of - {"required_filled"}:
            raise ValueError(
                f"The checks {sorted(with_of - {'required_filled'})} do not have the setting 'of'; "
                "only required_filled has it."
            )
        taken = [rule.name for rule in self.own_rules if rule.name in CHECKS]
        if taken:
            raise ValueError(
                f"Quality rules are named like checks of the package: {taken}. Rename them: their "
                "queries could not be told apart."
            )
        if any(CHECKS[name].layer == "metadata" for name in of_forms):
            raise ValueError(
                "dictionary_drift is a check of the whole project: put it into settings, not into "
                "by_instrument."
            )

    def settings_for(self, name: str, instrument: str | None = None) -> CheckSettings:
        """Return the settings of a check; None stands for the check's default.

        Args:
            name: Name of the check.
            instrument: The instrument whose table has the check. Defaults to None, for the table
                of fields.
        """
        settings = CheckSettings()
        for group in (self.settings, self.by_instrument.get(instrument or "", {})):
            if name in group:
                given = vars(group[name]).items()
                settings = replace(
                    settings, **{key: value for key, value in given if value is not None}
                )
        return settings


def check_rules(rules: CheckRules, project: REDCapProject, cleaning: CleaningRules) -> None:
    """Raise an error for check settings that do not fit the project or its cleaning rules.

    Raises:
        StructureError: There are settings of instruments that the project does not have, or checks
            of rows that the tables do not have; the message names the instruments.
    """
    every = [rules.settings, *rules.by_instrument.values()]
    wanted = any(own["required_filled"].of == "all" for own in every if "required_filled" in own)
    if wanted and not cleaning.keep_unsaved:
        raise StructureError(
            "checks: required_filled has `of: all`, but the tables do not have the rows of "
            "instruments that were never saved. Set keep_unsaved in the cleaning rules, or use "
            "`of: saved`."
        )
    known = [form.instrument_name for form in project.instruments]
    unknown = sorted(set(rules.by_instrument) - set(known))
    if unknown:
        raise StructureError(
            f"checks.by_instrument names instruments that the project does not have: {unknown}. "
            f"It has {known}."
        )


def load_own_rules(rules: CheckRules) -> CheckRules:
    """Return the rules with those of their file among ``own_rules``.

    Raises:
        ValueError: The file cannot be read.
    """
    if not rules.own_rules_file:
        return rules
    read = read_quality_rules(rules.own_rules_file)
    return replace(rules, own_rules=(*rules.own_rules, *read), own_rules_file="")


def apply_rules(
    specs: Iterable[dg.AssetCheckSpec],
    key: dg.AssetKey,
    rules: CheckRules,
    instrument: str | None,
) -> Iterator[dg.AssetCheckSpec]:
    """Yield the specs of a table's checks with the settings of the rules, without disabled checks.

    Args:
        specs: The specs with their defaults.
        key: Key of the table's asset.
        rules: The rules.
        instrument: The table's instrument; None for other tables.

    Raises:
        ValueError: A check belongs to another asset, or is not one of `CHECKS`.
    """
    for spec in specs:
        if spec.name not in CHECKS or spec.asset_key != key:
            raise ValueError(
                f"get_check_specs returned a check {spec.name!r} of "
                f"{spec.asset_key.to_user_string()}, which would never be evaluated. Define it "
                f"with dagster.asset_check. The checks of this package are {sorted(CHECKS)}."
            )
        settings = rules.settings_for(spec.name, instrument)
        enabled = settings.enabled
        if CHECKS[spec.name].enabled if enabled is None else enabled:
            blocking = settings.blocking
            yield spec if blocking is None else spec._replace(blocking=blocking)
