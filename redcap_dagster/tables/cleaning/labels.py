"""Codes -> labels: of choices, of ticked options, and of fields whose dictionary lists none."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.frames import Rows
from redcap_dagster.project import Choice, REDCapProject, StructureError
from redcap_dagster.tables.text_columns import read_text
from redcap_dagster.text_bytes import index_texts, pack_positions

CODED: Final = pa.dictionary(pa.int32(), pa.string())
"""Type of a column of choices."""


def look_up_codes(
    codes: pa.ChunkedArray, known: Sequence[str], values: Sequence[str]
) -> pa.ChunkedArray:
    """Return a dictionary-encoded column with the value of each code; null for an unknown code.

    Args:
        codes: Column of codes.
        known: Known codes.
        values: Value of each known code; two codes with the same value share its entry.

    Example:
        >>> look_up_codes(pa.chunked_array([["1", "9"]]), ["1", "2"], ["Yes", "No"]).to_pylist()
        ['Yes', None]
    """
    distinct = list(dict.fromkeys(values))
    entries = {value: index for index, value in enumerate(distinct)}
    entry_of_code = np.array([*(entries[value] for value in values), -1], np.int32)
    # At least one chunk: pandas reads the choices of a column from it.
    chunks = codes.chunks or [pa.array([], pa.string())]
    found = [entry_of_code.take(index_texts(chunk, known)) for chunk in chunks]
    return pa.chunked_array(
        [
            pa.DictionaryArray.from_arrays(pack_positions(indices), pa.array(distinct, pa.string()))
            for indices in found
        ],
        CODED,
    )


def list_ticked_options(
    ticked: Sequence[pa.ChunkedArray], values: Sequence[str]
) -> pa.ChunkedArray:
    """Return a column of lists, with the values of the ticked options of each row, in their order.

    Args:
        ticked: One column of booleans per option.
        values: Text of each option in the lists.

    Returns:
        Lists of text; null where every option is null, empty where none is ticked.

    Example:
        >>> box = pa.chunked_array([[True, False, None]])
        >>> list_ticked_options([box, box], ["A", "B"]).to_pylist()
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
    raw: Rows, labeled: Rows, project: REDCapProject
) -> Mapping[str, tuple[Choice, ...]]:
    """Return the choices of fields whose dictionary lists none, from a raw and a label export.

    These are ``sql`` fields, and text fields with an ontology (BioPortal).

    Args:
        raw: Export with ``rawOrLabel=raw``.
        labeled: The same export with ``rawOrLabel=label``.
        project: Structure of the project.

    Returns:
        Choices by field name, as far as records use them, for the argument `paired` of `clean`. Of
        a code with two labels, the first label.

    Raises:
        StructureError: The two exports do not have the same rows.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[
        ...     {"field_name": "id", "form_name": "a"},
        ...     {"field_name": "site", "form_name": "a", "field_type": "sql"}])
        >>> raw, labels = ({"id": ["1"], "site": [text]} for text in ("7", "North"))
        >>> pair_labels(pa.table(raw), pa.table(labels), project)
        {'site': (Choice(code='7', label='North'),)}
    """
    record_id = project.record_id_field
    codes, texts = read_text(raw), read_text(labeled)
    if codes.num_rows != texts.num_rows or not codes[record_id].equals(texts[record_id]):
        raise StructureError(
            "The raw and the label export do not have the same rows, so their codes and labels "
            "cannot be paired. Records were probably changed between the two: export both again."
        )
    pairs: dict[str, tuple[Choice, ...]] = {}
    for field in project.fields:
        name = field.field_name
        has_ontology = field.field_type == "text" and field.select_choices_or_calculations
        if name in codes.column_names and (field.field_type == "sql" or has_ontology):
            both = pa.table({"code": codes[name], "label": texts[name]})
            used = both.group_by(["code", "label"], use_threads=False).aggregate([]).to_pylist()
            labels: dict[str, str] = {}
            for pair in used:
                if pair["code"]:
                    labels.setdefault(pair["code"], pair["label"] or pair["code"])
            pairs[name] = tuple(Choice(code, label) for code, label in labels.items())
    return pairs
