"""Runs of a project whose server refuses in another language what its token may not export."""

from pathlib import Path
from typing import Any, Literal

import pytest

from redcap_dagster.api import REDCapClient, RefusedError, RightsError, TokenError
from redcap_dagster.sandbox import Sandbox
from redcap_dagster.sandbox.dialects import Dialect
from tests.dagster_runs import studying
from tests.dictionary import field

EXPORTS: dict[str, Any] = {
    "metadata": [
        field("id", "base"),
        field("age", "base"),
        field("dose", "drug"),
        field("side", "drug", type="checkbox", choices="1, A | 2, B"),
        field("mood", "diary"),
    ],
    "project": {},
    "repeatingFormsEvents": [{"form_name": "drug"}, {"form_name": "diary"}],
}
FORMS = ("base", "drug", "diary")
ROWS: list[dict[str, str | int]] = [
    {"id": "1", "age": "40", "base_complete": "2", "redcap_data_access_group": "north"},
    *(
        {
            "id": "1",
            "redcap_repeat_instrument": form,
            "redcap_repeat_instance": number,
            name: number,
            f"{form}_complete": "2",
        }
        for form, name in (("drug", "dose"), ("diary", "mood"))
        for number in (1, 2)
    ),
]
RIGHTS = {"data_access_groups": 0, "logging": 0, "forms_export": {"drug": 0}}


@pytest.mark.parametrize("missing_right", [400, 403])
def test_a_run_needs_no_sentence(tmp_path: Path, missing_right: Literal[400, 403]) -> None:
    dialect = Dialect(sentences="foreign", missing_right=missing_right, access_groups="refused")
    with studying(tmp_path, exports=EXPORTS, records=ROWS, rights=RIGHTS, dialect=dialect) as one:
        run = one.run(select=[f"study/records/{form}" for form in FORMS])
        base, drug, diary = (one.table(f"study_records.{form}") for form in FORMS)

    assert not run.get_failed_step_keys()
    assert "redcap_data_access_group" not in base.column_names
    assert base["age"].to_pylist() == ["40"]
    assert drug.num_rows == 0  # without a right to it
    assert diary["mood"].to_pylist() == ["1", "2"]


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("sentences", ["English", "foreign"])
def test_a_wrong_token_is_told_from_a_missing_right(
    status: Literal[401, 403], sentences: Literal["English", "foreign"]
) -> None:
    dialect = Dialect(sentences=sentences, unknown_token=status, missing_right=403)
    with Sandbox(dialect=dialect) as sandbox:
        token = sandbox.add_project(exports=EXPORTS, records=ROWS, rights=RIGHTS)
        for wrong, error in ((token, RightsError), (token[::-1], TokenError)):
            client = REDCapClient(sandbox.url, wrong, retries=0)
            with pytest.raises(error, match="token"):
                client.log.export()
            with pytest.raises(error, match="token"):
                client.groups.export()

        with pytest.raises(RefusedError):
            REDCapClient(sandbox.url, token, retries=0).records.rename("1", "1")


@pytest.mark.parametrize("sentences", ["English", "foreign"])
def test_a_token_without_api_rights_cannot_be_told_from_a_wrong_one(
    sentences: Literal["English", "foreign"],
) -> None:
    """REDCap refuses both everything, also its version, with the same status."""
    with Sandbox(dialect=Dialect(sentences=sentences)) as sandbox:
        no_rights = {"api_export": 0, "api_import": 0}
        token = sandbox.add_project(exports=EXPORTS, records=ROWS, rights=no_rights)
        for one in (token, token[::-1]):
            with pytest.raises(TokenError) as caught:
                REDCapClient(sandbox.url, one, retries=0).export_records()
            for cause in ("token is wrong", "does not have API rights", "not expired"):
                assert cause in str(caught.value)


@pytest.mark.parametrize("sentences", ["English", "foreign"])
def test_a_failed_run_shows_why_the_server_refuses(
    tmp_path: Path, sentences: Literal["English", "foreign"]
) -> None:
    dialect = Dialect(sentences=sentences)
    with studying(tmp_path, exports=EXPORTS, records=ROWS, dialect=dialect) as one:
        definitions = one.definitions()
        one.sandbox.set_rights(one.token, {"expiration": "2020-01-01"})
        expired = one.run(definitions, select=["study/metadata/fields"])
        one.sandbox.set_rights(one.token, {"expiration": ""})
        one.sandbox.set_status(one.token, "completed")
        completed = one.run(definitions, select=["study/metadata/fields"])

    for run, cause in (
        (expired, "Your user privileges in this project have expired"),
        (completed, "The project was marked as Completed, so that nobody has access to it."),
    ):
        [failure] = [event for event in run.all_events if event.is_step_failure]
        assert f'The server says: "{dialect.say(cause)}"' in str(failure.step_failure_data)


@pytest.mark.parametrize("redcap_dialect", ["default"])  # Its sentences are understood.
def test_an_import_shows_why_the_server_refuses(sandbox: Sandbox) -> None:
    token = sandbox.add_project(exports=EXPORTS, records=ROWS)
    client = REDCapClient(sandbox.url, token, retries=0)
    without_instance = {"id": "1", "redcap_repeat_instrument": "diary", "mood": "3"}
    with pytest.raises(RefusedError, match="redcap_repeat_instance") as caught:
        client.records.import_([without_instance])
    assert "The server says: " in str(caught.value)

    sandbox.set_status(token, "analysis")
    with pytest.raises(RefusedError, match="Analysis/Cleanup status, so that its data cannot"):
        client.records.import_([{"id": "1", "age": "41"}])
