"""People's frames: ordinary pandas, the same dtypes whatever the values, and back without loss."""

import io
from datetime import date, datetime, time
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redcap_dagster import REDCapResource
from redcap_dagster.api import REDCapClient
from redcap_dagster.frames import to_frame, to_table
from redcap_dagster.io_managers import DuckDBTableIOManager, ParquetTableIOManager, StorageSettings
from redcap_dagster.project import REDCapProject, StructureError
from redcap_dagster.tables import CleaningRules, clean, list_invalid_values, split_by_instrument
from tests.dictionary import field

CANARY = "canary-4711"
TEXT = "string" if pd.__version__.startswith("2.") else "str"
CHOICES = [f"{code}, {label}" for code, label in enumerate(["Never", "Some days", "Daily"])]
PROJECT = REDCapProject.from_exports(
    metadata=[
        field("id", "visit"),
        field("name", "visit", validation="mrn_generic"),
        field("height", "visit", validation="number"),
        field("age", "visit", validation="integer"),
        field("born", "visit", validation="date_dmy"),
        field("seen", "visit", validation="datetime_seconds_mdy"),
        field("slept", "visit", validation="time"),
        field("pregnant", "visit", type="yesno"),
        field("smokes", "visit", type="radio", choices=" | ".join(CHOICES)),
        field("drugs", "visit", type="checkbox", choices="1, A | 2, B"),
    ]
)
DTYPES = {
    "id": TEXT,
    "name": TEXT,
    "height": "float64",
    "age": "Int64",
    "born": "datetime64[s]",
    "seen": "datetime64[us]",
    "slept": "time64[us][pyarrow]",
    "pregnant": "boolean",
    "smokes": "category",
    "drugs": "list<item: string>[pyarrow]",
    "visit_complete": "category",
}
ROW = {
    "id": "1",
    "name": "007",
    "height": "1.70",
    "age": str(2**53 + 1),
    "born": "0001-01-01",
    "seen": "2024-03-01 10:20:30",
    "slept": "06:30",
    "pregnant": "1",
    "smokes": "2",
    "drugs___1": "1",
    "drugs___2": "0",
    "visit_complete": "2",
}
BLANK = {**dict.fromkeys(ROW, ""), "id": "2", "drugs___1": "", "visit_complete": "1"}
OTHER = {
    **ROW,
    "id": "3",
    "height": "1.80",
    "age": "30",
    "born": "1990-02-03",
    "seen": "2024-03-02 00:00:00",
    "smokes": "0",
    "pregnant": "0",
}


def cleaned(*rows: dict[str, str]) -> pa.Table:
    export = pa.table({name: pa.array([row[name] for row in rows], pa.string()) for name in ROW})
    records = split_by_instrument(export, PROJECT)["visit"]
    return clean(records, "visit", PROJECT, CleaningRules(checkboxes="lists")).table


@pytest.mark.parametrize("rows", [(), (BLANK,), (ROW,), (ROW, BLANK, OTHER)])
def test_dtypes_follow_from_the_type_of_the_column_alone(rows: tuple[dict[str, str], ...]) -> None:
    frame = to_frame(cleaned(*rows))
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == {
        name: DTYPES[name] if DTYPES[name] != "string" else str(frame.dtypes[name])
        for name in DTYPES
    }
    assert all(frame[name].dtype == kind for name, kind in DTYPES.items() if kind == TEXT)
    assert list(frame["smokes"].cat.categories) == ["Never", "Some days", "Daily"]


@pytest.fixture
def frame() -> pd.DataFrame:
    return to_frame(cleaned(ROW, BLANK, OTHER))


def test_a_frame_gets_the_dtypes_of_a_table(frame: pd.DataFrame) -> None:
    plain = frame.astype({"age": "object", "born": "object", "pregnant": "object"})
    pd.testing.assert_frame_equal(to_frame(frame), frame)
    assert to_frame(plain[["age", "pregnant"]]).dtypes.astype(str).tolist() == ["Int64", "boolean"]
    assert str(to_frame(frame, frames="arrow")["age"].dtype) == "int64[pyarrow]"
    with pytest.raises(TypeError, match="list is not a table"):
        to_frame([{"id": "1"}])


def test_values_are_exact_and_missing_ones_are_null(frame: pd.DataFrame) -> None:
    assert frame.loc[0, "age"] == 2**53 + 1
    assert frame.loc[0, "born"] == pd.Timestamp(date.min)
    assert frame.loc[0, "slept"] == time(6, 30)
    assert frame["drugs"].tolist()[0] == ["A"]
    blank = frame.drop(columns=["id", "visit_complete"]).loc[1]
    assert blank.isna().all()


def test_frames_compare_group_and_resample(frame: pd.DataFrame) -> None:
    since = [False, False, True]
    assert (frame["born"] > "1950-01-01").tolist() == since
    assert (frame["born"] > pd.Timestamp("1950-01-01")).tolist() == since
    assert (frame["seen"] >= "2024-03-01 10:20:30").tolist() == [True, False, True]
    assert frame.query("age < 40 and born >= '1990-02-03' and smokes == 'Never'").index == [2]
    assert frame[frame["pregnant"]].index == [0]
    heights = frame.groupby("smokes", observed=False)["height"].mean()
    assert heights.fillna(0).to_dict() == {"Never": 1.8, "Some days": 0, "Daily": 1.7}
    by_day = frame.dropna(subset="seen").set_index("seen").resample("D")["height"].sum()
    assert by_day.to_dict() == {pd.Timestamp("2024-03-01"): 1.7, pd.Timestamp("2024-03-02"): 1.8}
    assert (frame["seen"] - frame["born"]).dt.days.iloc[2] == 12446


def test_numbers_are_floats_for_numpy_and_what_builds_on_it(frame: pd.DataFrame) -> None:
    assert frame[["height"]].to_numpy().dtype == np.float64
    numbers = frame[["height", "age", "pregnant"]].astype("float64")
    assert numbers.to_numpy().dtype == np.float64
    assert numbers.isna().sum().sum() == 3
    linear_model = pytest.importorskip("sklearn.linear_model")
    complete = numbers.dropna()
    model = linear_model.LinearRegression().fit(complete[["height"]], complete["age"])
    assert model.coef_.dtype == np.float64


def test_a_frame_can_be_plotted(frame: pd.DataFrame) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    rows = frame.loc[1:]  # matplotlib's dates do not go back to the year 1
    for x in ("born", "seen"):
        rows.plot(x=x, y=["height", "age"]).figure.canvas.draw()
    rows.plot.bar(x="smokes", y="height").figure.canvas.draw()


def test_a_frame_goes_to_stata_without_times_and_lists(frame: pd.DataFrame) -> None:
    rows = frame.loc[1:].drop(columns=["slept", "drugs"])  # pandas 2 cannot write the year 1
    file = io.BytesIO()
    rows.to_stata(file, write_index=False)
    file.seek(0)
    stata = pd.read_stata(file)
    assert stata["age"].isna().tolist() == [True, False]
    assert stata["born"].iloc[1] == pd.Timestamp("1990-02-03")
    assert stata["smokes"].iloc[1] == "Never"


def test_arrow_dtypes_on_request() -> None:
    table = cleaned(ROW)
    dtypes = to_frame(table, frames="arrow").dtypes
    assert dtypes["born"] == pd.ArrowDtype(pa.date32())
    assert isinstance(dtypes["smokes"], pd.CategoricalDtype)
    texts = to_frame(pa.table({"id": ["1"]}), frames="arrow").dtypes
    assert texts["id"] == pd.ArrowDtype(pa.string())


MISSPELT: list[Any] = [
    lambda: to_frame(pa.table({"id": ["1"]}), frames="arow"),  # type: ignore[arg-type]
    lambda: REDCapClient("https://redcap.example.edu/api/", "0" * 32, frames="arow"),
    lambda: REDCapResource(url="https://r.example.edu/", token=dg.EnvVar("T"), frames="arow"),
    lambda: DuckDBTableIOManager(database="x", frames="arow"),  # type: ignore[arg-type]
    lambda: ParquetTableIOManager(frames="arow"),  # type: ignore[arg-type]
    lambda: StorageSettings("x", frames="arow"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("make", MISSPELT)
def test_other_frames_are_refused(make: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=r"pandas.*arrow"):
        make()


# -- extremes -------------------------------------------------------------------------------------

MOMENTS = {
    kind: st.integers(-(2**bits), 2**bits - 1)
    for kind, bits in [(pa.date32(), 31), (pa.timestamp("s"), 50), (pa.timestamp("us"), 62)]
}


@given(st.data())
def test_no_date_is_lost_or_changed(data: st.DataObject) -> None:
    """Those before the year 1 and after 9999, too, which a warehouse may hold."""
    kind = data.draw(st.sampled_from(list(MOMENTS)))
    numbers = data.draw(st.lists(st.none() | MOMENTS[kind], max_size=4))
    integer = pa.int32() if kind == pa.date32() else pa.int64()
    table = pa.table({"at": pa.array(numbers, integer).cast(kind)})
    frame = to_frame(table)
    unit = "s" if kind == pa.date32() else kind.unit
    assert frame["at"].dtype == f"datetime64[{unit}]"
    assert to_table(frame)["at"].equals(table["at"].cast(pa.timestamp(unit)))


def test_every_arrow_type_becomes_a_frame_also_if_all_is_null() -> None:
    kinds = [
        pa.null(),
        pa.large_string(),
        pa.uint8(),
        pa.float32(),
        pa.decimal128(38, 2),
        pa.binary(),
        pa.duration("us"),
        pa.timestamp("ns", "UTC"),
        pa.time32("s"),
        pa.struct({"a": pa.int64()}),
    ]
    table = pa.table({str(kind): pa.nulls(2, kind) for kind in kinds})
    frame = to_frame(table)
    assert frame.isna().all(axis=None)
    assert frame["null"].dtype == TEXT


def test_parts_with_other_choices_are_one_category() -> None:
    parts = [pa.array([text]).dictionary_encode() for text in "ba"]
    frame = to_frame(pa.table({"c": pa.chunked_array(parts)}))
    assert frame["c"].tolist() == ["b", "a"]


# -- from frames ----------------------------------------------------------------------------------


class Polars:
    """A table of another library, which offers nothing but the Arrow C stream."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


def as_views(table: pa.Table) -> Polars:
    """Return a table whose text is in views, as polars has it."""
    return Polars(table.cast(pa.schema([(name, pa.string_view()) for name in table.column_names])))


EXPORT = pa.table({name: [ROW[name], BLANK[name] or None] for name in ROW})


@pytest.mark.parametrize(
    "rows",
    [
        to_frame(EXPORT),
        to_frame(EXPORT, frames="arrow"),
        EXPORT.to_pandas().astype(object),
        EXPORT.to_pandas().astype("category"),
        to_frame(pa.concat_tables([EXPORT.slice(0, 1), EXPORT]))[1:],
        EXPORT.cast(pa.schema([(name, pa.large_string()) for name in ROW])),
        EXPORT.to_reader(),
        as_views(EXPORT),
    ],
    ids=["pandas", "arrow", "object", "category", "rows", "large", "reader", "views"],
)
def test_exports_and_records_may_be_any_frame(rows: Any) -> None:
    records = split_by_instrument(rows, PROJECT)["visit"]
    assert records.equals(split_by_instrument(EXPORT, PROJECT)["visit"])
    rules = CleaningRules(types={"name": "integer", "height": "integer"})
    found, expected = (clean(one, "visit", PROJECT, rules) for one in (as_views(records), records))
    assert found.table.equals(expected.table)
    assert clean(to_frame(records), "visit", PROJECT, rules).table.equals(expected.table)
    invalid = list_invalid_values(found, to_frame(records), "visit", PROJECT)
    assert invalid["field_name"].to_pylist() == ["height"]


def test_rows_whose_text_is_lost_are_refused() -> None:
    csv = io.StringIO(f"id,name,height\n{CANARY},007,1.70\n")
    with pytest.raises(StructureError, match=r"name \(int64\), height \(double\).*dtype=str") as no:
        split_by_instrument(pd.read_csv(csv), PROJECT)
    assert CANARY not in str(no.value)
    with pytest.raises(ValueError, match="reset_index"):
        split_by_instrument(to_frame(EXPORT).set_index("id"), PROJECT)
    with pytest.raises(ValueError, match="more than once: id"):
        split_by_instrument(pa.table([["1"], ["2"]], ["id", "id"]), PROJECT)
    with pytest.raises(TypeError, match="not a table"):
        split_by_instrument([ROW], PROJECT)


def test_a_stream_of_another_library_is_a_table() -> None:
    table = pa.table(
        {
            "text": pa.array(["a", None], pa.string_view()),
            "day": [date(2024, 1, 2), None],
            "at": [datetime(2024, 1, 2), None],  # noqa: DTZ001
            "list": pa.array([["x"], None], pa.large_list(pa.string_view())),
            "choice": pa.DictionaryArray.from_arrays(
                pa.array([1, None], pa.uint32()), pa.array(["No", "Yes"])
            ),
        }
    )
    found = to_table(Polars(table))
    assert found.to_pydict() == table.to_pydict()
    assert not any(pa.types.is_string_view(kind) for kind in found.schema.types)
    assert to_table(found.schema.empty_table()).num_rows == 0
