"""Each row of an export has a key of its own, or none of its batch is passed on."""

from collections.abc import Callable
from itertools import accumulate, islice

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redcap_dagster.api import MalformedResponseError, REDCapClient
from redcap_dagster.api.export.reader import csv_blocks as blocks
from redcap_dagster.api.export.reader.row_keys import (
    check_distinct_keys,
    check_row_keys,
    drop_records,
    fold_record_ids,
)
from redcap_dagster.api.http import body
from tests.fake_server import CANARY, Reply, Server

SCHEMA = pa.schema({"id": pa.string()})


@given(st.lists(st.text("aZ9 -_\x7f") | st.none()))
def test_ids_of_plain_letters_compare_as_beside_others(ids: list[str | None]) -> None:
    alone = fold_record_ids(pa.array(ids, pa.string()))

    assert alone.to_pylist() == fold_record_ids(pa.array([*ids, "é"])).to_pylist()[:-1]


def test_a_table_of_which_no_record_is_dropped_is_not_copied() -> None:
    rows = pa.table({"id": ["1", "2"]})

    assert drop_records(rows, ["3"], "id") is rows
    assert drop_records(rows, ["1", "3"], "id").to_pylist() == [{"id": "2"}]


@given(
    st.lists(st.lists(st.integers(0, 60), max_size=8), max_size=30),
    st.lists(st.integers(0, 8), max_size=8),
)
def test_a_row_that_comes_twice_is_counted_wherever_it_came_before(
    others: list[list[int]],
    ascending: list[int],
) -> None:
    # The ids of the first batches ascend, as those of a project do; there may be blank batches.
    starts = accumulate(ascending, initial=0)
    batches = [
        *([*range(start, start + more)] for start, more in zip(starts, ascending, strict=False)),
        *others,
    ]
    seen: set[int] = set()
    passed, again = 0, 0
    for ids in batches:
        again = len(ids) - len({*ids} - seen)
        if again:
            break
        seen.update(ids)
        passed += 1

    rows = check_row_keys(
        (pa.record_batch({"id": [str(one) for one in ids]}, SCHEMA) for ids in batches), "id"
    )

    assert [len(batch) for batch in islice(rows, passed)] == list(map(len, batches[:passed]))
    if again:
        with pytest.raises(MalformedResponseError, match=f" and {again} are duplicate rows"):
            next(rows)
    assert next(rows, None) is None


Silent = Callable[[BaseException], None]

# -- keys -----------------------------------------------------------------------------------------

PLACES = "record_id,redcap_event_name,redcap_repeat_instrument,redcap_repeat_instance,name"


@pytest.mark.parametrize(
    ("header", "rows", "says"),
    [
        ("record_id,name", [f",{CANARY}", "2,b"], "1 rows have no record id, and 0 "),
        ("record_id,name", [f"{CANARY},a", f"{CANARY},b", f"{CANARY},c"], "and 2 are duplicate"),
        ("record_id,name", ["A5,a", "b,b", "a5,c", '"a5 ",d'], "and 2 are duplicate"),
        ("record_id,name", ["É-1,a", "é-1,b", "e-1,c", "E\u0301-1,d"], "and 3 are duplicate"),
        (PLACES, [f"{CANARY},e,,,a", f"{CANARY},e,,,b"], "0 rows have no record id, and 1 "),
        (PLACES, [f"{CANARY},e,f,2,a", f"{CANARY},e,f,1,a", f"{CANARY},e,f,2,a"], "and 1 are"),
    ],
)
def test_rows_without_a_key_of_their_own_are_refused(
    header: str,
    rows: list[str],
    says: str,
    server: Server,
    client: REDCapClient,
    assert_silent: Silent,
) -> None:
    server.say("record", Reply("".join(f"{line}\n" for line in (header, *rows)).encode()))

    for export in (
        client.export_records,
        client.export_census,
        lambda: list(client.stream_records()),
    ):
        with pytest.raises(MalformedResponseError, match=says) as caught:
            export()
        assert_silent(caught.value)


def test_ids_of_several_requests_that_are_one_record_are_duplicate_rows() -> None:
    keys = ("id", "redcap_event_name")
    first, same, other = (
        pa.table(dict(zip(keys, ([record], [event]), strict=True)))
        for record, event in (("a5", "e"), ("A5 ", "e"), ("A5 ", "f"))
    )

    assert check_distinct_keys(pa.concat_tables([first, other]), "id").num_rows == 2
    with pytest.raises(MalformedResponseError, match="and 1 are duplicate rows"):
        check_distinct_keys(pa.concat_tables([first, same]), "id")


def test_rows_that_differ_in_any_key_are_taken(server: Server, client: REDCapClient) -> None:
    rows = [
        "1,e,,,a",
        "1,d,,,a",
        "1,e,,1,a",
        "1,e,f,1,a",
        "1,e,f,2,a",
        "1,e,g,1,a",
        "2,e,,,a",
        "A,e,,,",
        "a,d,,,",
        "й,e,,,",
        "и,e,,,",
        "が,e,,,",
        "か,e,,,",
    ]
    server.say("record", Reply("".join(f"{line}\n" for line in (PLACES, *rows)).encode()))

    assert len(client.export_records()) == len(rows)
    assert sum(batch.num_rows for batch in client.stream_records()) == len(rows)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "_CHUNK", 100)
    monkeypatch.setattr(blocks, "_BLOCK", 100)


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("wrong", [",b", f"{CANARY},b", "700,b"], ids=["blank", "first", "middle"])
def test_a_stream_breaks_off_before_a_row_without_a_key_of_its_own(
    wrong: str, server: Server, client: REDCapClient, assert_silent: Silent
) -> None:
    ids = [CANARY, *map(str, range(1000))]
    lines = ["record_id,name", *(f"{record},a" for record in ids), wrong, "last,a"]
    server.say("record", Reply("".join(f"{line}\n" for line in lines).encode()))
    batches = client.stream_records()
    got: list[str] = []

    with pytest.raises(MalformedResponseError, match="have no record id, and") as caught:
        got.extend(row["record_id"] for batch in batches for row in batch.to_pylist())

    assert_silent(caught.value)
    assert 900 < len(got) <= len(ids)  # all but those of its own batch
    assert got == ids[: len(got)]


@pytest.mark.usefixtures("small_batches")
def test_a_stream_hands_out_the_batches_of_many_keys(server: Server, client: REDCapClient) -> None:
    lines = [PLACES, *(f"{record},e,f,{n},a" for record in range(200) for n in range(5))]
    server.say("record", Reply("".join(f"{line}\n" for line in lines).encode()))

    batches = list(client.stream_records())

    assert len(batches) > 50
    assert sum(batch.num_rows for batch in batches) == 1000


def test_labels_do_not_tell_forms_apart(server: Server, client: REDCapClient) -> None:
    server.say("record", Reply(f"{PLACES}\n1,e,Visit,1,a\n1,e,Visit,1,b\n".encode()))

    assert len(client.export_records(raw_or_label="label")) == 2
    assert [batch.num_rows for batch in client.stream_records(raw_or_label="label")] == [2]

    server.say("record", Reply(f"{PLACES}\n1,e,Visit,1,a\n,e,Visit,1,b\n".encode()))
    with pytest.raises(MalformedResponseError, match="1 rows have no record id"):
        client.export_records(raw_or_label="label")
