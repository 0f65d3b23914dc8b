"""The spec of one table: its key, group, owners, tags, description and checks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from redcap_dagster.checks.rules import Layer, default_check_specs
from redcap_dagster.options import refuse_misspelt
from redcap_dagster.project import Instrument, REDCapProject, build_page_url

_METADATA_DESCRIPTIONS = {
    "project": "Project information, as exported: one row.",
    "fields": "The data dictionary, one row per field, by REDCap's own columns.",
    "choices": "The choices of multiple-choice fields: one row per field and choice.",
    "instruments": "The data collection instruments.",
    "events": "The events of the project and their arms.",
    "form_events": "The instruments designated in each event.",
    "repeating": "The instruments and events that repeat.",
}


@dataclass(frozen=True)
class REDCapTableProps:
    """One table of a project, as a translator sees it.

    Attributes:
        name: Name of the project in Dagster.
        layer: ``metadata``, ``records`` (text as REDCap sent it) or ``clean`` (typed).
        table: Name of the table: that of the instrument in ``records`` and ``clean``; that of the
            census is ``_census``.
        instrument: The instrument; None for metadata and the census.
        project: Structure of the project when definitions were loaded.
        url: URL of the API; blank where it is not known.
    """

    name: str
    layer: Layer
    table: str
    instrument: Instrument | None
    project: REDCapProject
    url: str = ""


class DagsterREDCapTranslator:
    """The look and the names of assets: one spec for each table.

    Override `get_asset_spec` to change what no argument can. Lineage and places in storage follow
    the translated keys.

    Args:
        key_prefix: Prefix of all keys. Defaults to none.
        group_name: Asset group. Defaults to the name of the project.
        owners: Owners of all assets. Defaults to none.
        tags: Tags of all assets. Defaults to none.
        url: URL of the API, for links to the project in REDCap. Defaults to that of the resource,
            where it is written out.

    Example:
        >>> class OnlyCleanIsOwned(DagsterREDCapTranslator):
        ...     def get_asset_spec(self, props):
        ...         spec = super().get_asset_spec(props)
        ...         owners = ["team:trials"] if props.layer == "clean" else []
        ...         return spec.replace_attributes(owners=owners)
        >>> OnlyCleanIsOwned(group_name="trials").group_name
        'trials'
    """

    @refuse_misspelt
    def __init__(
        self,
        *,
        key_prefix: str | Sequence[str] | None = None,
        group_name: str | None = None,
        owners: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
        url: str | None = None,
    ) -> None:
        self.key_prefix = key_prefix
        self.group_name = group_name
        self.owners = owners
        self.tags = tags or {}
        self.url = url

    def get_asset_spec(self, props: REDCapTableProps) -> dg.AssetSpec:
        """Return the spec of a table's asset, without its upstream assets in the project.

        Upstream assets that an override adds come on top of those; no asset can depend on itself.

        Args:
            props: The table.

        Returns:
            A spec with the key ``PREFIX/NAME/LAYER/TABLE``.
        """
        key = dg.AssetKey([props.name, props.layer, props.table])
        return dg.AssetSpec(
            key=key.with_prefix(self.key_prefix) if self.key_prefix else key,
            group_name=self.group_name or props.name,
            description=_describe(props, self.url or props.url),
            owners=self.owners,
            tags=self.tags,
            kinds={"redcap", "table"},
        )

    def get_check_specs(
        self, props: REDCapTableProps, spec: dg.AssetSpec
    ) -> Sequence[dg.AssetCheckSpec]:
        """Return the checks of a table; an override may leave some out, or describe them.

        Args:
            props: The table.
            spec: Its asset, with its final key.

        Returns:
            The checks that `redcap_dagster.checks.CHECKS` has for the layer. `CheckRules` are
            applied afterwards.
        """
        return default_check_specs(props.layer, props.table, spec.key)


def _describe(props: REDCapTableProps, url: str) -> str:
    return f"{_describe_table(props)}\n\n{_describe_project(props, url)}"


def _describe_table(props: REDCapTableProps) -> str:
    if props.layer == "metadata":
        return _METADATA_DESCRIPTIONS[props.table]
    if props.instrument is None:
        return "Every record and event that REDCap lists, with what belongs to no instrument."
    label = props.instrument.instrument_label or props.instrument.instrument_name
    if props.layer == "records":
        return f"{label}: one row per saved form, every value as the text that REDCap sent."
    return f"{label}: typed, missing markers null, choices labeled."


def _describe_project(props: REDCapTableProps, url: str) -> str:
    title = props.project.info.project_title or props.name
    home = build_page_url(url, props.project)
    return f"Project: [{title}]({home})" if home else f"Project: {title}"
