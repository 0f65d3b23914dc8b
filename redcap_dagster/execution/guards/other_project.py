"""Protection of stored tables: a run never replaces the tables of another project unasked."""

from collections.abc import Collection, Iterable, Iterator, Sequence

import dagster as dg

from redcap_dagster.catalog.event_log import last_metadata
from redcap_dagster.catalog.source import ProjectSource
from redcap_dagster.execution.stored_tables import IO_MANAGER_KEY, find_io_manager
from redcap_dagster.io_managers import TableIOManager, TablePlace
from redcap_dagster.partitions import bucket_keys
from redcap_dagster.project import StructureError
from redcap_dagster.project.name_lists import list_names
from redcap_dagster.specs.table_specs import TableSpecs

ALLOW_OTHER_PROJECT = "redcap/allow_other_project"
"""Tag of a run that may replace tables that were made of another project."""


def refuse_other_project(
    context: dg.AssetExecutionContext,
    tables: TableSpecs,
    source: ProjectSource,
    replaced: Sequence[dg.AssetSpec],
    loaded: Sequence[dg.AssetSpec] = (),
) -> None:
    """Raise an error if a table is stored that was made of another project.

    The token of another project, under the same name, gives tables of the same names. The IO
    manager says of which project a stored table was made, or else the table's last materialization.
    The census and the project's settings are compared even if the selected tables are not stored
    yet, so that the tables of two projects are not stored under one name.

    Args:
        context: Context of the run.
        tables: Specs of all tables.
        source: The project that the token opens.
        replaced: Specs of the tables that the run replaces. A run tag allows it.
        loaded: Specs of the records that clean tables are made from. Nothing allows that these
            are of another project. Defaults to none.

    Raises:
        StructureError: There is such a table; the message has both projects and names the table.
    """
    allowed = context.run.tags.get(ALLOW_OTHER_PROJECT, "").lower() == "true"
    beside = [tables.census, tables.metadata["project"]] if replaced else []
    stored = [] if allowed else [*replaced, *beside]
    to_load = dict(_find_others(context, source, loaded, tables.buckets))
    to_replace = dict(_find_others(context, source, stored, tables.buckets))
    found = {**to_replace, **to_load}
    if not found:
        return
    other = next(iter(found.values()))
    if to_load and not to_replace:
        advice = "Materialize these records again, in the same run as their clean tables"
    else:
        advice = (
            "To keep them, give this project a name of its own. To replace them, or if the project "
            f"was moved to another URL, run again with the tag {ALLOW_OTHER_PROJECT}: true"
        )
    raise StructureError(
        f"The token opens {source}, but stored tables were made of {other}: "
        f"{list_names([key.to_user_string() for key in found])}. Nothing was replaced. Probably "
        f"the URL or the token was changed. {advice}."
    )


def is_of_other_project(
    context: dg.AssetExecutionContext, tables: TableSpecs, source: ProjectSource, spec: dg.AssetSpec
) -> bool:
    """Whether a table is stored that was made of another project.

    Args:
        context: Context of the run.
        tables: Specs of all tables.
        source: The project that the token opens.
        spec: Spec of the table.

    Raises:
        StructureError: The storage failed.
    """
    return any(_find_others(context, source, [spec], tables.buckets))


def _find_others(
    context: dg.AssetExecutionContext,
    source: ProjectSource,
    specs: Iterable[dg.AssetSpec],
    buckets: int,
) -> Iterator[tuple[dg.AssetKey, ProjectSource]]:
    """Yield the key of each stored table of another project, with that project.

    Raises:
        StructureError: The storage failed.
    """
    by_manager: dict[str, list[dg.AssetSpec]] = {}
    for spec in specs:
        by_manager.setdefault(str(spec.metadata[IO_MANAGER_KEY]), []).append(spec)
    for several in by_manager.values():
        for spec, texts in zip(several, _read_sources(context, several), strict=True):
            for stored in _find_sources(context, spec, texts, buckets):
                if source.differs(stored):
                    yield spec.key, stored
                    break


def _read_sources(
    context: dg.AssetExecutionContext, specs: Sequence[dg.AssetSpec]
) -> Sequence[Collection[str | None] | None]:
    """Return what the one IO manager of some tables says of which projects they were made.

    Raises:
        StructureError: The storage failed.
    """
    io_manager = find_io_manager(context, specs[0])
    if not isinstance(io_manager, TableIOManager):
        return [None for _ in specs]
    try:
        return io_manager.read_sources([TablePlace(spec.key) for spec in specs])
    except (RuntimeError, TimeoutError, ValueError) as error:  # their texts are our own
        raise StructureError(f"{error} Nothing was replaced.") from None


def _find_sources(
    context: dg.AssetExecutionContext,
    spec: dg.AssetSpec,
    texts: Collection[str | None] | None,
    buckets: int,
) -> Sequence[ProjectSource]:
    """Return the projects that a stored table was made of; none if no table is stored.

    Args:
        context: Context of the run.
        spec: Spec of the table.
        texts: What its IO manager says of each part of it, or None.
        buckets: Number of its buckets.
    """
    stored = [ProjectSource.from_text(text) for text in texts or () if text is not None]
    if texts is not None and len(stored) == len(texts):
        return stored
    keys = bucket_keys(buckets) if buckets else []
    entry = "redcap/version"  # the metadata of every table have it
    logged = last_metadata(context, spec.key, entry, keys)
    logged = logged or last_metadata(context, spec.key, entry, [])
    return [*stored, *(ProjectSource.from_metadata(metadata) for metadata in logged)]
