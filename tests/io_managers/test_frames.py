"""What goes in comes out, and what cannot is refused without showing a value."""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import dagster as dg
import duckdb
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redcap_dagster.frames import to_frame
from redcap_dagster.io_managers import DuckDBTableIOManager, TableIOManager
from tests.io_managers.conftest import VISIT

KEY = dg.AssetKey(["trial", "clean", "visit"])
CANARY = "canary-4711"


@pytest.fixture(scope="module")
def contexts() -> Iterator[dict[object, Any]]:
    """The contexts of one asset: Dagster takes its time to build them, so they are shared."""
    # With the table's name given, nothing is added to the output's context, as is right only once.
    given = {"dagster/table_name": "visit"}
    with (
        dg.build_output_context(asset_key=KEY, definition_metadata=given) as output,
        dg.build_input_context(
            asset_key=KEY, dagster_type=dg.PythonObjectDagsterType(pd.DataFrame)
        ) as frame,
        dg.build_input_context(
            asset_key=KEY, dagster_type=dg.PythonObjectDagsterType(pa.Table)
        ) as table,
    ):
        yield {"output": output, pd.DataFrame: frame, pa.Table: table}


@dataclass(frozen=True)
class Asset:
    """An asset as an IO manager meets it."""

    io_manager: TableIOManager
    contexts: dict[object, Any]

    @property
    def is_in_duckdb(self) -> bool:
        return isinstance(self.io_manager, DuckDBTableIOManager)

    def write(self, frame: object) -> None:
        self.io_manager.handle_output(self.contexts["output"], frame)

    def read(self, kind: type = pd.DataFrame) -> Any:
        return self.io_manager.load_input(self.contexts[kind])


@pytest.fixture
def asset(io_manager: TableIOManager, contexts: dict[object, Any]) -> Asset:
    return Asset(io_manager, contexts)


# DuckDB before 2 may store 0.0 and -0.0 of one column as the same.
ZERO_HAS_SIGN = int(duckdb.__version__.partition(".")[0]) >= 2
FLOATS = st.floats(allow_nan=False)
VALUES = {
    pa.string(): st.text(st.characters(exclude_categories=["Cs"]))
    | st.sampled_from(["", "'", "😀"]),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float64(): FLOATS if ZERO_HAS_SIGN else FLOATS.map(lambda number: number or 0.0),
    pa.bool_(): st.booleans(),
    pa.date32(): st.dates(),
    pa.timestamp("us"): st.datetimes(),
    pa.time64("us"): st.times(),
    pa.duration("us"): st.integers(-(2**62), 2**62).map(
        lambda count: datetime.timedelta(microseconds=count)
    ),
    pa.dictionary(pa.int32(), pa.string()): st.sampled_from(["", "Yes", "No, never", "Ü"]),
}
NAMES = st.sampled_from(["select", "ORDER", "rowid", "incoming", 'quo"te', "größe", "a b", "😀"])


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
    names = draw(st.lists(NAMES | texts, min_size=1, max_size=5, unique_by=str.lower))
    rows = draw(st.integers(0, 4))
    columns = {}
    for name in names:
        kind = draw(st.sampled_from(list(VALUES)))
        values = draw(st.lists(st.none() | VALUES[kind], min_size=rows, max_size=rows))
        columns[name] = pa.array(values, kind)
    return pa.table(columns)


def without_dictionaries(table: pa.Table) -> pa.Table:
    """Make dictionary columns text, as which DuckDB keeps them."""
    dictionaries = [f.name for f in table.schema if pa.types.is_dictionary(f.type)]
    fields = [f.with_type(pa.string()) if f.name in dictionaries else f for f in table.schema]
    return table.cast(pa.schema(fields))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=tables())
def test_a_frame_comes_back_the_same(asset: Asset, table: pa.Table) -> None:
    asset.write(table.to_pandas(types_mapper=pd.ArrowDtype))
    if asset.is_in_duckdb:
        table = without_dictionaries(table)
    for frames in ("pandas", "arrow"):
        io_manager = asset.io_manager.model_copy(update={"frames": frames})
        frame = Asset(io_manager, asset.contexts).read()
        assert list(frame.columns) == table.column_names
        pd.testing.assert_frame_equal(frame, to_frame(table, frames))
    assert repr(asset.read(pa.Table).to_pydict()) == repr(table.to_pydict())


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_duration_comes_back_as_long_as_it_was(asset: Asset, unit: Any) -> None:
    waited = pd.Series(pd.to_timedelta(["400 days", "-1 days 02:00:00.5", None])).dt.as_unit(unit)
    parts = {key: pa.table({"waited": pa.array(waited)}) for key in ("one", "two")}
    for key, part in parts.items():  # one is stored when two comes
        asset.io_manager.write_partitions(VISIT, {key: part})
    for keys in (["one"], ["two"], None):
        frame = to_frame(asset.io_manager.read_table(VISIT, keys))
        assert frame["waited"].tolist()[-3:] == waited.tolist()

    lost = [pd.DataFrame({"waited": pd.to_timedelta([1], unit="ns")})]
    lost.append(pd.DataFrame({"waited": [[pd.Timedelta("1D")]]}))
    for frame in lost if asset.is_in_duckdb else ():
        with pytest.raises(ValueError, match="'waited' has durations that DuckDB cannot store"):
            asset.write(frame)


def test_a_table_without_rows_has_its_columns_and_types(asset: Asset) -> None:
    empty = pa.table({str(kind): pa.array([], kind) for kind in VALUES})
    asset.write(empty)
    expected = without_dictionaries(empty) if asset.is_in_duckdb else empty
    assert asset.read(pa.Table).schema.equals(expected.schema)


def test_a_table_without_rows_has_its_choices(asset: Asset) -> None:
    dtype = pd.CategoricalDtype(["Never", "Daily", "Now and then"])
    asset.write(pd.DataFrame({"smokes": pd.Categorical([], dtype=dtype)}))
    categories = asset.read()["smokes"].astype("category").cat.categories
    assert list(categories) == ([] if asset.is_in_duckdb else list(dtype.categories))


def test_a_categorical_without_categories_is_text(asset: Asset) -> None:
    asset.write(
        pd.DataFrame({"label": pd.Categorical([None, None], dtype=pd.CategoricalDtype([]))})
    )
    assert asset.read(pa.Table).schema.field("label").type == pa.string()


def test_a_frame_of_numpy_and_objects_is_stored_too(asset: Asset) -> None:
    frame = pd.DataFrame(
        {
            "text": ["a", None],
            "number": [1.5, float("nan")],
            "label": pd.Categorical(["x", "y"]),
            "day": [datetime.date(2020, 1, 1), None],
            "moment": pd.to_datetime(pd.Series(["2020-01-01", None])),
        }
    )
    asset.write(frame)
    assert asset.read(pa.Table).to_pylist() == [
        {
            "text": "a",
            "number": 1.5,
            "label": "x",
            "day": datetime.date(2020, 1, 1),
            "moment": datetime.datetime(2020, 1, 1),  # noqa: DTZ001
        },
        {"text": None, "number": None, "label": "y", "day": None, "moment": None},
    ]


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (pd.DataFrame({"a": [CANARY]}, index=[CANARY]), "reset_index"),
        (pd.DataFrame({"a": [1, 2, 3]})[1:], "reset_index"),
        (pd.DataFrame({"a": [1]}).rename_axis("id"), "reset_index"),
        (pd.DataFrame([[1, 2]], columns=["age", "age"]), "more than once: age"),
        (pd.DataFrame({1: [2]}), "not text"),
        (pd.DataFrame({"": [2]}), "blank"),
        (pd.DataFrame(), "not have columns"),
        (pd.DataFrame({"_bucket": [1]}), "rename"),
        (pd.DataFrame({"ok": [1, 2], "mixed": [CANARY, 7]}, dtype=object), "'mixed'"),
        (pd.DataFrame({"broken": [f"{CANARY}\ud800"]}, dtype=object), "'broken'"),
        (CANARY, "str"),
        (pd.DataFrame({"month": pd.PeriodIndex(["2024-01"], freq="M")}), "'month' has periods or"),
        (pd.DataFrame({"month": pd.Categorical(pd.PeriodIndex(["2024"], freq="Y"))}), "'month'"),
        (pd.DataFrame({"age": pd.interval_range(0, 2)}), "'age' .*astype"),
        (pa.table({"wait": [pa.MonthDayNano([1, 2, 3])]}), "'wait'"),
    ],
)
def test_what_is_no_table_is_refused(asset: Asset, frame: object, says: str) -> None:
    with pytest.raises((ValueError, TypeError), match=says) as caught:
        asset.write(frame)
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_names_that_duckdb_takes_for_the_same_are_refused(asset: Asset) -> None:
    frame = pd.DataFrame({"age": [1], "AGE": [2]})
    if asset.is_in_duckdb:
        with pytest.raises(ValueError, match="AGE"):
            asset.write(frame)
    else:
        asset.write(frame)
        assert asset.read(pa.Table).to_pylist() == [{"age": 1, "AGE": 2}]


def test_a_new_table_takes_the_place_of_the_old(asset: Asset) -> None:
    asset.write(pd.DataFrame({"a": [1], "b": ["x"]}))
    asset.write(pd.DataFrame({"b": [2.5], "c": [True], "a": ["y"]}))
    stored = asset.read(pa.Table)
    assert stored.column_names == ["b", "c", "a"]
    assert stored.to_pylist() == [{"b": 2.5, "c": True, "a": "y"}]


def test_what_was_never_written_is_named(asset: Asset) -> None:
    with pytest.raises(LookupError, match=r"trial_clean\.visit.*[Mm]aterialize"):
        asset.read()
    asset.io_manager.write_partitions(VISIT, {"one": pa.table({"a": [1]})})
    with pytest.raises(LookupError, match=r"trial_clean\.visit.*[Mm]aterialize"):
        asset.io_manager.read_table(VISIT, ["one", "two"])
