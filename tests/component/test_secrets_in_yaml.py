"""Mistakes in YAML beside a token: no error, warning or repr of ours shows it."""

import traceback
from typing import Any

import dagster as dg
import pytest
from dagster.components.core.component_tree import ComponentTreeException

from tests.component.test_component import loaded
from tests.dagster_runs import TOKEN_VARIABLE

SECRET = "0F1E2D3C4B5A69788796A5B4C3D2E1F0"


def _said_about(capture: pytest.LogCaptureFixture, **attributes: Any) -> str:
    """Return all that a refusal says."""
    with pytest.raises(ComponentTreeException) as refused, loaded(**attributes) as (_, definitions):
        definitions.resolve_all_asset_keys()
    return "".join(traceback.format_exception(refused.value)) + capture.text


@pytest.mark.parametrize(
    "mistake",
    [
        {"partitions": {"buckets": 0}},
        {"automation": {"on_cron": "x"}},
        {"translation": {"group_name": "{{ nope }}"}},
        {"translation": {"group_name": "{{ props.nope.x }}"}},
        {"schedule": {"cron": "x"}},
        {"instruments": ["nope"], "max_age": "x"},
        {"tokn": "x"},
    ],
)
def test_a_mistake_beside_a_token_does_not_show_it(
    mistake: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert SECRET not in _said_about(caplog, token=SECRET, **mistake)


@pytest.mark.parametrize(
    "mistake",
    [
        {"client": {"token": SECRET}},
        {"client": {"ca_bundle": [SECRET]}},
        {"client": {"rate_limit": SECRET}},
        {"client": SECRET},
        {"storage": {"parquet": "x", "storage_options": SECRET}},
        {"storage": SECRET},
        {"url": [SECRET]},
        {"url": f"https://ann:{SECRET}@redcap.example.edu/api/"},
        {"name": SECRET},
        {"max_age": SECRET},
        {"schedule": {"cron": SECRET}},
        {"automation": {"on_cron": SECRET}},
        {"freshness": {"fail_after": SECRET}},
        {"cleaning": {"types": {"weight": SECRET}}},
        {"checks": {"max_drop": SECRET}},
        {"op": {"retry_policy": {"delay": SECRET}}},
        {"defs_state": {"management_type": SECRET}},
        {SECRET: "x"},
    ],
)
def test_a_token_in_the_wrong_place_is_not_shown(
    mistake: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert SECRET not in _said_about(caplog, **mistake)


@pytest.mark.parametrize("token", [SECRET, "01234567" * 4, f"${TOKEN_VARIABLE}", ""])
def test_a_token_that_is_written_out_is_refused_and_not_shown(
    token: str, caplog: pytest.LogCaptureFixture
) -> None:
    said = _said_about(caplog, token=token)
    assert "token: it is not {{ env.NAME }}." in said
    assert SECRET not in said
    assert "01234567" not in said


@pytest.mark.parametrize(
    "template",
    [
        f"{{{{ env.{TOKEN_VARIABLE} | trim }}}}",
        f"{{{{ env('{TOKEN_VARIABLE}') }}}}",
        f"{{{{ env.{TOKEN_VARIABLE} }}}}\nx",
        f"{{{{ env.{TOKEN_VARIABLE} }}}}{{{{ env.{TOKEN_VARIABLE} }}}}",
        f"{{{{ {SECRET} }}}}",
        f"{{{{ '{SECRET}' ",
        f"{{% if true %}}{SECRET}{{% endif %}}",
    ],
)
def test_a_token_is_read_when_a_run_starts_or_refused(
    template: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, SECRET)
    said = _said_about(caplog, token=template)
    assert "token: it is not {{ env.NAME }} alone" in said
    assert SECRET not in said


def test_a_token_in_the_place_of_its_variable_is_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    said = _said_about(caplog, token=f"{{{{ env.A{SECRET[1:]} }}}}")
    assert "what looks like a token" in said
    assert SECRET[1:] not in said


def test_a_token_among_the_instruments_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    with loaded(instruments=[SECRET]) as (_, definitions):
        assert not definitions.resolve_all_asset_keys()
    assert "(32 characters)" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("name", "{{ env.%s }}"),
        ("op", {"description": "of {{ env.%s }}"}),
        ("client", {"ca_bundle": "{{ env('%s') }}"}),
        ("storage", {"parquet": "x", "storage_options": {"key": "{{ env.%s | trim }}"}}),
        ("url", "https://redcap.example.edu/{{ env.%s }}/api/"),
        ("instruments", ["{%% if env.%s %%}x{%% endif %%}"]),
    ],
)
def test_the_variable_of_the_token_is_for_the_token_alone(
    option: str, value: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, SECRET)
    said = _said_about(caplog, **{option: _name_variable(value)})
    assert f"{option}: it uses the environment variable of the token, {TOKEN_VARIABLE}" in said
    assert SECRET not in said


def _name_variable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _name_variable(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_name_variable(one) for one in value]
    return value % TOKEN_VARIABLE if "%" in value else value


def test_templates_of_storage_client_and_conditions_are_resolved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PLACE", "s3://bucket/redcap")
    monkeypatch.setenv("CRON", "0 3 * * *")
    with loaded(
        storage={"parquet": "{{ env.PLACE }}", "storage_options": {"endpoint": "{{ env.PLACE }}"}},
        client={"ca_bundle": "{{ env.PLACE }}", "retries": 2},
        automation={"on_cron": "{{ env.CRON }}"},
    ) as (component, _):
        assert component.storage is not None
        assert component.storage.parquet == "s3://bucket/redcap"
        assert component.storage.storage_options == {"endpoint": "s3://bucket/redcap"}
        assert component.client is not None
        assert (component.client.ca_bundle, component.client.retries) == ("s3://bucket/redcap", 2)
        assert component.automation == dg.AutomationCondition.on_cron("0 3 * * *")


def test_a_url_with_a_variable_that_is_not_set_is_refused(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("HOST", raising=False)
    said = _said_about(caplog, url="https://{{ env.HOST }}/api/")
    assert "url: the environment variable HOST is not set" in said
