"""What keeps the token of a YAML file out of messages and out of Dagster's snapshots."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Self

from pydantic import BaseModel, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

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
            raise PydanticCustomError("value_error", "{text}", {"text": str(error)}) from None
        raise hidden


def check_token(token: Any) -> None:
    """Raise `ValueError` for a token that is neither a text nor one environment variable.

    Any other template is evaluated when definitions load, so Dagster's snapshots of them would
    contain the token.
    """
    if not isinstance(token, str):
        return  # missing, or of a type that the component refuses
    match = VARIABLE.fullmatch(token.strip())
    if match and _TOKEN.fullmatch(match[1]):
        raise ValueError(
            "token: the template has what looks like a token where the name of its environment "
            "variable belongs, and messages show that name. Put the token into a variable."
        )
    if "{" in token and not match:
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
    """Return the error with its places and sentences, and without what YAML holds there."""
    return ValidationError.from_exception_data(
        error.title,
        [
            InitErrorDetails(
                type=PydanticCustomError(each["type"], "{text}", {"text": each["msg"]}),
                loc=tuple(
                    shown_name(part) if isinstance(part, str) else part for part in each["loc"]
                ),
                input=_NOT_SHOWN,
            )
            for each in error.errors(include_input=False)
        ],
    )
