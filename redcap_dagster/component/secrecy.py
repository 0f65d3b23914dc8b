"""What keeps the token of a YAML file out of messages and out of Dagster's snapshots."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Self

from pydantic import BaseModel, ValidationError, model_validator
from pydantic.functional_validators import ModelWrapValidatorHandler
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from redcap_dagster.options import shown_name

VARIABLE = re.compile(r"\{\{\s*env\.([A-Za-z_]\w*)\s*\}\}")
"""The one template that is read when a run starts, not when definitions load."""

_TOKEN = re.compile(r"(?:[0-9A-Fa-f]{32}){1,2}")
_NOT_SHOWN = "(not shown)"


class SecretiveModel(BaseModel):
    """A model of YAML whose errors do not show what the YAML holds.

    Pydantic's own setting for that does not suffice: Dagster builds the errors again without it.
    """

    @model_validator(mode="wrap")
    @classmethod
    def _hide_values(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            if isinstance(given, Mapping):
                _check_token_is_elsewhere(given)
            return handler(given)
        except ValidationError as error:
            hidden = _without_values(error)
        except ValueError as error:
            # As one of a validator, whose value pydantic would show.
            raise _custom_error("value_error", str(error), error=str(error)) from None
        raise hidden


def check_token(token: Any) -> None:
    """Raise `ValueError` for a token that is not one environment variable.

    Dagster's snapshots of definitions contain a token that is written out, and one that another
    template has when definitions load.
    """
    if not isinstance(token, str):
        return  # missing, or of a type that the component refuses
    if "{" not in token:
        raise ValueError(
            "token: it is not {{ env.NAME }}. Do not write the token itself here: Dagster shows "
            "the options of a component to everyone. Put it into an environment variable, and "
            "write {{ env.NAME }} with the name of the variable."
        )
    match = VARIABLE.fullmatch(token.strip())
    if match and _TOKEN.fullmatch(match[1]):
        raise ValueError(
            "token: the template has what looks like a token where the name of its environment "
            "variable belongs, and messages show that name. Put the token into a variable."
        )
    if not match:
        raise ValueError(
            "token: it is not {{ env.NAME }} alone. Filters, functions and texts beside it are "
            "evaluated when definitions load, and Dagster stores the result. Write "
            "{{ env.NAME }}, with the name of the variable that has the token."
        )


def _check_token_is_elsewhere(given: Mapping[str, Any]) -> None:
    """Raise `ValueError` if another option uses the environment variable of the token."""
    token = given.get("token")
    match = VARIABLE.fullmatch(token.strip()) if isinstance(token, str) else None
    if match is None:
        return
    uses = re.compile(rf"\{{[{{%].*\benv\b.*\b{match[1]}\b", re.DOTALL)
    for name, value in given.items():
        if name != "token" and any(uses.search(text) for text in _find_texts(value)):
            raise ValueError(
                f"{shown_name(name)}: it uses the environment variable of the token, "
                f"{match[1]}, and Dagster shows this option to everyone. Use another variable."
            )


def _find_texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _find_texts(key)
            yield from _find_texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _find_texts(one)


def _without_values(error: ValidationError) -> ValidationError:
    """Return the error with its places and sentences, and without what YAML holds there.

    Where an option is neither valid nor a template, only the former is said.
    """
    errors = [
        InitErrorDetails(
            type=_custom_error(each["type"], each["msg"], **each.get("ctx", {})),
            loc=tuple(
                shown_name(part) if isinstance(part, str) else part
                for part in each["loc"]
                if "[" not in str(part)  # a validator of ours, in a name that pydantic made
            ),
            input=_NOT_SHOWN,
        )
        for each in error.errors(include_input=False)
        if not _is_about_template(each)
    ]
    return ValidationError.from_exception_data(error.title, errors)


def _custom_error(kind: str, text: str, **context: Any) -> PydanticCustomError:
    """Return an error that says a text, with the context by which Dagster builds it again."""
    return PydanticCustomError(kind, "{text}", {**context, "text": text})


def _is_about_template(error: ErrorDetails) -> bool:
    """Return whether an error says no more than that an option is not a template."""
    return error["type"] == "string_type" and error["loc"][-1] == "str"
