"""What a table of a REDCap project becomes as a Dagster asset."""

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from redcap_dagster.checks.rules import Layer, default_check_specs
from redcap_dagster.project import Instrument, REDCapProject, build_page_url

_METADATA_DESCRIPTIONS = {
    "project": "Project information, as exported: one row.",
    "fields": "The data dictionary, one row per field, by REDCap's own columns.",
    "choices": "The options of multiple-choice fields: one row per field and choice.",
    "instruments": "The data collection instruments.",
    "events": "The events of the project and their arms.",
    "form_events": "The instruments that are designated in each event.",
    "repeating": "The instruments and events that repeat.",
}


@dataclass(frozen=True)
class REDCapTableProps:
    """One table of a project, as a translator sees it.

    Attributes:
        name: The name given to the project in Dagster.
        layer: ``metadata``, ``records`` (text, as sent) or ``clean`` (typed).
        table: The name of the table: of the instrument, in ``records`` and ``clean``; the census
            is ``_census``.
        instrument: The instrument, where the table is one's.
        project: The structure of the project when definitions were loaded.
        url: The address of the API, where it is known.
    """

    name: str
    layer: Layer
    table: str
    instrument: Instrument | None
    project: REDCapProject
    url: str = ""


class DagsterREDCapTranslator:
    """Turns tables into asset specs. Override it to change keys, groups, owners and the like.

    Edges and places in storage follow the translated keys.

    Example:
        >>> class UnderClinic(DagsterREDCapTranslator):
        ...     def get_asset_spec(self, props):
        ...         spec = super().get_asset_spec(props)
        ...         return spec.replace_attributes(key=spec.key.with_prefix("clinic"))
    """

    def get_asset_spec(self, props: REDCapTableProps) -> dg.AssetSpec:
        """Give the spec of a table's asset, without its upstream assets in the project.

        Others that an override adds come on top of those; no asset can depend on itself.

        Args:
            props: The table.

        Returns:
            A spec with the key ``name/layer/table`` in the group ``name``.
        """
        return dg.AssetSpec(
            key=[props.name, props.layer, props.table],
            group_name=props.name,
            description=_describe(props),
            kinds={"redcap", "table"},
        )

    def get_check_specs(
        self, props: REDCapTableProps, spec: dg.AssetSpec
    ) -> Sequence[dg.AssetCheckSpec]:
        """Give the checks of a table; leave some out, or change how they are described.

        Args:
            props: The table.
            spec: Its asset, with the key that it has in the end.

        Returns:
            The checks that `redcap_dagster.checks.CHECKS` has for the layer. What `CheckRules`
            ask for comes on top.
        """
        return default_check_specs(props.layer, props.table, spec.key)


def _describe(props: REDCapTableProps) -> str:
    return f"{_describe_table(props)}\n\n{_describe_project(props)}"


def _describe_table(props: REDCapTableProps) -> str:
    if props.layer == "metadata":
        return _METADATA_DESCRIPTIONS[props.table]
    if props.instrument is None:
        return "Every record that REDCap lists, by event, with what belongs to no instrument."
    label = props.instrument.instrument_label or props.instrument.instrument_name
    if props.layer == "records":
        return f"{label}: one row per saved form, as the text that REDCap sent."
    return f"{label}: typed, missing markers replaced, choices labelled."


def _describe_project(props: REDCapTableProps) -> str:
    title = props.project.info.project_title or props.name
    home = build_page_url(props.url, props.project)
    return f"Project: [{title}]({home})" if home else f"Project: {title}"
