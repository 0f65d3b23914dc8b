"""The spec of one table: its key, group, owners, tags, description and checks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from redcap_dagster.checks.checks import Layer, default_check_specs
from redcap_dagster.options import refuse_mistakes
from redcap_dagster.project import Instrument, REDCapProject, build_page_url

_METADATA_DESCRIPTIONS = {
    "project": "Project information, as exported: one row.",
    "fields": "The data dictionary: one row per field, with REDCap's own columns.",
    "choices": "The choices of multiple-choice fields: one row per field and choice.",
    "instruments": "The data collection instruments.",
    "events": "The events of the project and their arms.",
    "form_events": "The instruments designated in each event.",
    "repeating": "The instruments and events that repeat.",
}

_LIST_DESCRIPTIONS = {
    "open": "The queries that nobody has mended or confirmed: one row per query, with a link to "
    "the form.",
    "history": "The life of all queries: one row for each time that one was found, changed, "
    "solved, confirmed or found again.",
    "forms": "The status of each form: one row per record, event, instrument and instance.",
}


@dataclass(frozen=True)
class REDCapTableProps:
    """One table of a project: the argument of a translator.

    Attributes:
        name: Name of the project in Dagster.
        layer: ``metadata``, ``records`` (text as REDCap sent it), ``clean`` (typed), ``queries`` or
            ``status``.
        table: Name of the table: that of the instrument in ``records`` and ``clean``; that of the
            census is ``_census``.
        instrument: The instrument; None for metadata, the census, queries and status.
        project: Structure of the project when definitions were loaded.
        url: URL of the API; blank if it is unknown.
    """

    name: str
    layer: Layer
    table: str
    instrument: Instrument | None
    project: REDCapProject
    url: str = ""


class DagsterREDCapTranslator:
    """Names and attributes of the assets of a project.

    Override `get_asset_spec` to change what the arguments cannot. Lineage, and the places of tables
    in storage, follow the translated keys.

    Args:
        key_prefix: Prefix of all keys. Defaults to none.
        group_name: Asset group of all assets. Defaults to one group for each layer, such as
            ``trial_records``.
        owners: Owners of all assets. Defaults to none.
        tags: Tags of all assets. Defaults to none.
        url: URL of the API, for links to the project in REDCap. Defaults to the URL of the
            resource, if it is not an environment variable.

    Example:
        >>> class OnlyCleanIsOwned(DagsterREDCapTranslator):
        ...     def get_asset_spec(self, props):
        ...         spec = super().get_asset_spec(props)
        ...         owners = ["team:trials"] if props.layer == "clean" else []
        ...         return spec.replace_attributes(owners=owners)
        >>> OnlyCleanIsOwned(group_name="trials").group_name
        'trials'
    """

    @refuse_mistakes
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

        Upstream assets that an override adds are added to those. An asset cannot depend on itself.

        Args:
            props: The table.

        Returns:
            A spec with the key ``PREFIX/NAME/LAYER/TABLE``.
        """
        key = dg.AssetKey([props.name, props.layer, props.table])
        return dg.AssetSpec(
            key=key.with_prefix(self.key_prefix) if self.key_prefix else key,
            group_name=self.group_name or f"{props.name}_{props.layer}",
            description=_describe(props, self.url or props.url),
            owners=self.owners,
            tags=self.tags,
            kinds={"redcap", "table"},
        )

    def get_check_specs(
        self, props: REDCapTableProps, spec: dg.AssetSpec
    ) -> Sequence[dg.AssetCheckSpec]:
        """Return the checks of a table; an override may remove some, or change descriptions.

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
    if props.layer in ("queries", "status"):
        return _LIST_DESCRIPTIONS[props.table]
    if props.instrument is None:
        return "The census: one row per record and event that REDCap lists."
    label = props.instrument.instrument_label or props.instrument.instrument_name
    if props.layer == "records":
        return (
            f"{label}: one row per record, event and instance where the instrument was saved. "
            "Every value is the text that REDCap sent."
        )
    return f"{label}: the rows of the records table, with types, labels and nulls."


def _describe_project(props: REDCapTableProps, url: str) -> str:
    title = props.project.info.project_title or props.name
    home = build_page_url(url, props.project)
    return f"Project: [{title}]({home})" if home else f"Project: {title}"
