"""Codes -> labels: of choices, of ticked boxes, and of fields whose choices no dictionary holds."""

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project import Choice, REDCapProject, StructureError


def looked_up(
    codes: pa.ChunkedArray, known: Sequence[str], values: Sequence[str]
) -> pa.ChunkedArray:
    """Give a dictionary-encoded column with the value of each code; null where it is not known.

    Two codes with one value share its entry.
    """
    distinct = list(dict.fromkeys(values))
    entries = {value: index for index, value in enumerate(distinct)}
    entry = pa.array([entries[value] for value in values], pa.int32())
    value_set = pa.array(known, pa.string())
    return pa.chunked_array(
        [
            pa.DictionaryArray.from_arrays(
                entry.take(pc.index_in(chunk, value_set)), pa.array(distinct, pa.string())
            )
            # One chunk at least: pandas knows the choices of a column only by it.
            for chunk in codes.chunks or [pa.array([], pa.string())]
        ],
        pa.dictionary(pa.int32(), pa.string()),
    )


def ticked_list(ticked: Sequence[pa.ChunkedArray], values: Sequence[str]) -> pa.ChunkedArray:
    """Give a column of lists: in each row the values of the boxes that are ticked, in their order.

    Args:
        ticked: A column of booleans for each box.
        values: What stands in the list for each box.

    Returns:
        Lists of text; null where every box is null, empty where none is ticked.

    Example:
        >>> box = pa.chunked_array([[True, False, None]])
        >>> ticked_list([box, box], ["A", "B"]).to_pylist()
        [['A', 'B'], [], None]
    """
    rows = len(ticked[0])
    number = pc.cumulative_sum(pa.repeat(1, rows))
    hits = [number.filter(column.fill_null(False).combine_chunks()) for column in ticked]
    flat = pa.table(
        {
            "row": pa.chunked_array(hits, pa.int64()),
            "box": pa.chunked_array(
                [pa.repeat(pa.scalar(box, pa.int32()), len(hit)) for box, hit in enumerate(hits)],
                pa.int32(),
            ),
        }
    ).sort_by([("row", "ascending"), ("box", "ascending")])
    counts = pa.repeat(pa.scalar(0, pa.int32()), rows)
    unknown = pa.repeat(True, rows)
    for column in ticked:
        counts = pc.add(counts, column.fill_null(False).combine_chunks().cast(pa.int32()))
        unknown = pc.and_(unknown, column.is_null().combine_chunks())
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(counts)])
    texts = pa.array(values, pa.string()).take(flat["box"].combine_chunks())
    return pa.chunked_array([pa.ListArray.from_arrays(offsets, texts, mask=unknown)])


def pair_labels(
    raw: pa.Table, labelled: pa.Table, project: REDCapProject
) -> Mapping[str, tuple[Choice, ...]]:
    """Read the labels of fields whose choices no dictionary holds off a raw and a label export.

    These are ``sql`` fields and text fields that look their values up in an ontology (BioPortal).

    Args:
        raw: An export with ``rawOrLabel=raw``.
        labelled: The same with ``rawOrLabel=label``, taken at the same moment.
        project: The structure.

    Returns:
        Field name to its choices, as far as records use them; for `clean`. Where a code came with
        two labels the first stands.

    Raises:
        StructureError: The two exports do not have the same rows.
    """
    record_id = project.record_id_field
    if raw.num_rows != labelled.num_rows or not raw[record_id].equals(labelled[record_id]):
        raise StructureError(
            "The raw and the label export do not have the same rows, so that codes and labels "
            "cannot be paired. Somebody changed records in between: export both again."
        )
    pairs: dict[str, tuple[Choice, ...]] = {}
    for field in project.fields:
        name = field.field_name
        ontology = field.field_type == "text" and field.select_choices_or_calculations
        if name in raw.column_names and (field.field_type == "sql" or ontology):
            both = pa.table({"code": raw[name], "label": labelled[name]})
            used = both.group_by(["code", "label"], use_threads=False).aggregate([]).to_pylist()
            labels: dict[str, str] = {}
            for pair in used:
                if pair["code"]:
                    labels.setdefault(pair["code"], pair["label"] or pair["code"])
            pairs[name] = tuple(Choice(code, label) for code, label in labels.items())
    return pairs
