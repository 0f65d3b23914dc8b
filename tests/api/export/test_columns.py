"""A missing column is hidden by rights only where all responses agree; others are left out."""

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest

from redcap_dagster.api import ProjectChangedError, REDCapClient, ResponseMismatchError
from redcap_dagster.sandbox import Sandbox
from redcap_dagster.sandbox.faults import MemoryLimit
from redcap_dagster.sandbox.http.fault import InterceptedRequest, OutgoingResponse, REDCap
from redcap_dagster.sandbox.http.response_rows import is_csv
from tests.api.export.test_snapshot import METADATA, RECORDS
from tests.dictionary import field

STUDY: dict[str, Any] = {"exports": {"metadata": METADATA}, "records": RECORDS[:6]}


@dataclass(frozen=True)
class ChangedColumns:
    """Responses in CSV that lack the last columns, or have a new one."""

    less: int = 0
    more: bytes = b""

    async def respond(self, request: InterceptedRequest, redcap: REDCap) -> OutgoingResponse:  # noqa: ARG002
        response = await redcap()
        if not is_csv(response):
            return response
        header, *rows = (line.split(b",") for line in response.body.splitlines())
        keep = len(header) - self.less
        new = [[self.more]] + [[b"x"]] * len(rows) if self.more else [[]] * (1 + len(rows))
        lines = (b",".join(row[:keep] + own) for row, own in zip([header, *rows], new, strict=True))
        return replace(response, body=b"\n".join(lines) + b"\n")


@pytest.mark.parametrize("max_cells", [None, 500_000, 10])
def test_a_column_that_one_response_lacks_is_not_hidden(
    sandbox: Sandbox, token: str, max_cells: int | None
) -> None:
    client = REDCapClient(sandbox.url, token, max_cells=max_cells, retries=0, concurrency=1)
    whole = client.export_snapshot().table
    client.export_metadata()
    sandbox.inject(ChangedColumns(less=1), content="record", after=1, times=1)

    try:
        found = client.export_snapshot().table
    except ResponseMismatchError as error:
        assert "(drug_complete), although the token's user" in str(error)  # noqa: PT017
    else:
        assert found.equals(whole)
        assert max_cells == 10  # several responses disagree, and one is requested again


def test_a_stream_and_a_frame_are_compared_too(sandbox: Sandbox, token: str) -> None:
    client = REDCapClient(sandbox.url, token, max_cells=None, retries=0)
    client.export_metadata()
    for export in (client.export_records, lambda: list(client.stream_records())):
        sandbox.inject(ChangedColumns(less=1), content="record", times=1)
        with pytest.raises(ResponseMismatchError, match="1 columns that were requested"):
            export()


def test_columns_that_nobody_requested_are_left_out_and_named(
    sandbox: Sandbox, redcap: REDCapClient
) -> None:
    whole = redcap.export_snapshot()
    frame = redcap.export_records()
    sandbox.inject(ChangedColumns(more=b"redcap_new_column"), content="record")

    export = redcap.export_snapshot()

    assert export.table.equals(whole.table)
    assert (whole.unrequested, export.unrequested) == ((), ("redcap_new_column",))
    assert redcap.export_records().equals(frame)


def test_the_status_of_an_instrument_without_fields_is_exported(sandbox: Sandbox) -> None:
    """The dictionary alone does not have the instrument."""
    forms = [{"instrument_name": name, "instrument_label": name} for name in ("visit", "empty")]
    token = sandbox.add_project(
        exports={"metadata": [field("record_id")], "instrument": forms},
        records=[{"record_id": "1", "empty_complete": "2"}],
    )
    frame = REDCapClient(sandbox.url, token, retries=0).export_records()
    assert frame["empty_complete"].tolist() == ["2"]


@pytest.mark.parametrize("max_cells", [None, 3])
def test_a_tick_of_a_checkbox_without_choices_is_exported(
    sandbox: Sandbox, max_cells: int | None
) -> None:
    token = sandbox.add_project(
        exports={
            "metadata": [*METADATA, field("box", type="checkbox")],
            "project": {"missing_data_codes": "UNK, Unknown"},
        },
        records=[{"record_id": "1", "box___unk": "1"}, {"record_id": "2", "age": "7"}],
    )
    client = REDCapClient(sandbox.url, token, max_cells=max_cells, retries=0)

    assert client.export_records()["box___unk"].tolist() == ["1", "0"]
    assert client.export_records(fields=["box"])["box___unk"].tolist() == ["1", "0"]
    assert client.export_snapshot().table["box___unk"].to_pylist() == ["1", "0"]


def test_a_field_that_the_dictionary_lacks_is_a_project_that_changed(sandbox: Sandbox) -> None:
    token = sandbox.add_project(**STUDY)
    client = REDCapClient(sandbox.url, token, retries=0)
    structure = client.export_structure()
    client.design.import_metadata([*METADATA, field("weight", "drug")])

    with pytest.raises(ProjectChangedError, match="other definitions of weight"):
        client.export_snapshot(structure)
    assert "weight" in client.export_snapshot().table.column_names
    assert "weight" in client.export_records().columns


@pytest.mark.parametrize("hidden", ["dose", "age"])
def test_a_request_that_is_cut_names_only_fields_that_the_user_may_export(
    sandbox: Sandbox, hidden: str
) -> None:
    names = [f"f{number}" for number in range(6)]
    metadata = [
        field("record_id"),
        *(field(name) for name in names[:3]),
        field("age") | {"identifier": "y"},
        *(field(name) for name in names[3:]),
        field("dose", "drug") | {"identifier": "y"},
    ]
    records = [{"record_id": str(n), **dict.fromkeys(names, str(n))} for n in range(1, 5)]
    rights = {"forms_export": {"visit": 3, "drug": 3}}
    token = sandbox.add_project(exports={"metadata": metadata}, records=records, rights=rights)
    client = REDCapClient(sandbox.url, token, retries=0)
    whole = client.export_snapshot().table
    assert hidden not in whole.column_names
    before = len(sandbox.requests)
    sandbox.inject(MemoryLimit(5), content="record")

    cut = REDCapClient(sandbox.url, token, retries=0, max_cells=4).export_snapshot().table

    assert cut.select(["record_id", *names]).equals(whole.select(["record_id", *names]))
    assert not [one for one in sandbox.requests[before:] if one.status == 400]


def test_a_name_in_a_header_that_may_be_a_token_is_not_shown(
    sandbox: Sandbox, token: str, redcap: REDCapClient, caplog: pytest.LogCaptureFixture
) -> None:
    name = token.lower()
    sandbox.inject(ChangedColumns(more=name.encode()), content="record")

    export = redcap.export_snapshot()

    assert export.unrequested == ()
    assert "columns that were not requested are left out: 1 more" in caplog.text
    assert name not in json.dumps(caplog.text)


def test_a_column_that_every_response_renames_is_named_beside_its_new_name(
    sandbox: Sandbox, redcap: REDCapClient, caplog: pytest.LogCaptureFixture
) -> None:
    faulty = ChangedColumns(less=1, more=b"drug_complete_2")
    sandbox.inject(faulty, content="record", after=1)

    export = redcap.export_snapshot(fields=["age", "drug_complete"])

    assert export.unrequested == ("drug_complete_2",)
    assert "columns that were requested are missing: drug_complete. Either" in caplog.text


@pytest.fixture(autouse=True)
def no_more_changes(sandbox: Sandbox) -> Any:
    yield
    sandbox.clear_faults()
