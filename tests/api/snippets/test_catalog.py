"""The catalog of methods, held to what the sandbox handles and to the client."""

import inspect
from typing import Any

import pytest

from redcap_dagster.api import RecordSelection, REDCapClient
from redcap_dagster.api.snippets import METHODS, ClientCall, Method, find_method, write_request
from redcap_dagster.sandbox.design.project_creation import CREATION_HANDLERS
from redcap_dagster.sandbox.http.handlers import HANDLERS

CLIENT = REDCapClient("https://redcap.example.edu/api/", "0" * 32)

WITHOUT_A_METHOD = {
    "check_complete": "compares two exports",
    "export_census": "one column of a record export",
    "export_project": "several exports",
    "export_snapshot": "a record export that is verified by others",
    "export_records_table": "export_records, as an Arrow table",
    "export_structure": "several exports",
    "snippet": "sends nothing",
    "stop": "sends nothing",
    "stream_records": "export_records, in batches",
    "files.save": "files.export, as a file of the machine",
    "pdfs.save": "pdfs.export, as a file of the machine",
    "repository.save": "repository.export, as a file of the machine",
}
"""The methods of the client that send no request, or those of others."""

CALLS = [(method, call) for method in METHODS for call in method.calls]


def public_methods(owner: Any, prefix: str = "") -> set[str]:
    names = [name for name in dir(owner) if not name.startswith("_")]
    return {prefix + name for name in names if inspect.ismethod(getattr(owner, name))}


def get_call(name: str) -> Any:
    owner: Any = CLIENT
    for part in name.split("."):
        owner = getattr(owner, part)
    return owner


def list_arguments(name: str) -> dict[str, bool]:
    """Return the arguments of a call, and whether each is required."""
    arguments: dict[str, bool] = {}
    for each in inspect.signature(get_call(name)).parameters.values():
        if each.kind is inspect.Parameter.VAR_KEYWORD:
            arguments |= dict.fromkeys(RecordSelection.__annotations__, False)
        else:
            arguments[each.name] = each.default is inspect.Parameter.empty
    return arguments


def test_every_content_and_action_that_the_sandbox_handles_is_a_method() -> None:
    listed = [(method.content, method.action) for method in METHODS]
    assert sorted(listed) == sorted([*HANDLERS, *CREATION_HANDLERS])
    assert len({method.title for method in METHODS}) == len(METHODS)


def test_every_method_of_the_client_is_a_call() -> None:
    nouns = [name for name, value in vars(CLIENT).items() if not name.startswith("_")]
    public = public_methods(CLIENT).union(
        *(public_methods(getattr(CLIENT, noun), f"{noun}.") for noun in nouns)
    )
    calls = {call.name for _, call in CALLS}
    assert calls.isdisjoint(WITHOUT_A_METHOD)
    assert WITHOUT_A_METHOD.keys() <= public
    assert public - WITHOUT_A_METHOD.keys() == calls


@pytest.mark.parametrize(("method", "call"), CALLS, ids=[call.name for _, call in CALLS])
def test_the_parameters_are_the_arguments_of_the_call(method: Method, call: ClientCall) -> None:
    arguments = list_arguments(call.name)
    parameters = {each.argument: each for each in method.parameters if each.in_client}
    if method.content == "project_xml":  # an XML export takes some of them only
        left_out = RecordSelection.__annotations__.keys() - parameters.keys()
        assert "forms" in left_out
        arguments = {name: value for name, value in arguments.items() if name not in left_out}
    if call.name == "records.export_eav":
        parameters.pop("raw_or_label_headers", None)
    assert set(call.own_arguments) <= arguments.keys()
    assert arguments.keys() - {*call.own_arguments} == parameters.keys()
    required = {name for name, is_required in arguments.items() if is_required}
    # The group that is left by a blank is required by the client alone.
    assert {name for name, each in parameters.items() if each.required} == required - {"dag"}


def test_choices_and_defaults() -> None:
    for method in METHODS:
        names = [parameter.name for parameter in method.parameters]
        assert len(set(names)) == len(names)
        for parameter in method.parameters:
            assert (parameter.kind == "choice") == bool(parameter.choices)
            assert bool(parameter.names_of) >= (parameter.kind in ("name", "names"))
            assert not parameter.choices or parameter.default in ("", *parameter.choices)
            assert parameter.default or not parameter.always_sent


def test_a_request_has_what_was_chosen_and_nothing_else() -> None:
    export = find_method("Export Records")
    chosen: dict[str, Any] = {
        "format": "json",
        "records": [],
        "forms": ["visit"],
        "exportSurveyFields": True,
        "exportDataAccessGroups": False,
        "filterLogic": "",
    }
    assert write_request(export, chosen) == {
        "content": "record",
        "action": "export",
        "format": "json",
        "type": "flat",
        "csvDelimiter": ",",
        "returnFormat": "json",
        "exportSurveyFields": "true",
        "forms[0]": "visit",
    }
    assert write_request(find_method("Import Arms"), {"override": True})["override"] == "1"


@pytest.mark.parametrize(
    ("values", "error", "text"),
    [
        ({"form": ["a"]}, TypeError, "Export Records has no option 'form'. Did you mean 'forms'"),
        ({"forms": "a"}, TypeError, "forms: must be a list"),
        ({"forms": [1]}, TypeError, "forms: must be a text, not int"),
        ({"exportSurveyFields": "true"}, TypeError, "exportSurveyFields: must be True or False"),
        ({"filterLogic": 5}, TypeError, "filterLogic: must be a text, not int"),
        ({"format": "yaml"}, ValueError, "format: must be one of 'csv', 'json', 'xml', 'odm'"),
        ({"filterLogic": "a\0b"}, ValueError, "filterLogic: holds a NUL character"),
    ],
)
def test_what_no_request_can_have_is_refused(
    values: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        write_request(find_method("Export Records"), values)
