"""Options as YAML: the models that validate YAML, and the options that are read from them.

An option is declared once, as a value that `build_redcap_definitions` takes. Its fields, their
types, defaults and texts become those of a pydantic model. Dagster validates and shows YAML by it.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from enum import EnumType
from functools import cache, reduce
from operator import or_
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import dagster as dg
from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from redcap_dagster.dagster_private import (
    MultiRunBackfillPolicyModel,
    SingleRunBackfillPolicyModel,
    resolve_backfill_policy,
)
from redcap_dagster.options import attribute_texts, misspelt, shown_name

T = TypeVar("T")


class OptionModel(dg.Model):
    """A model of YAML whose error for a misspelled name suggests the right name."""

    model_config = ConfigDict(hide_input_in_errors=True)  # it may be a token

    @model_validator(mode="before")
    @classmethod
    def _check_names(cls, given: Any) -> Any:
        owner = cls.model_config.get("title") or cls.__name__
        if isinstance(given, Mapping) and (
            unknown := misspelt(given, cls.model_fields.keys(), owner)
        ):
            raise ValueError(unknown)
        return given

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the JSON schema, by which ``dg check yaml`` names what is wrong in an option.

        By ``anyOf`` alone it would only say that the option is neither valid nor a template.
        """
        schema = super().model_json_schema(*args, **kwargs)
        for model in [schema, *schema.get("$defs", {}).values()]:
            for name, option in model.get("properties", {}).items():
                models = [kind for kind in option.get("anyOf", []) if "$ref" in kind]
                if len(models) == 1:
                    inside = {"if": {"type": "object"}, "then": models[0]}
                    model["properties"][name] = {**inside, **option}
        return schema


class RetryPolicyModel(OptionModel):
    """When an op is run again; the fields of dagster.RetryPolicy."""

    model_config = ConfigDict(title="retry_policy")

    max_retries: int = Field(
        default=1, description="Number of times that the op is run again. Defaults to 1."
    )
    delay: float = Field(default=60, description="Seconds before it is run again. Defaults to 60.")
    backoff: Literal["LINEAR", "EXPONENTIAL"] | None = Field(
        default=None,
        description="How the delay grows with each retry. Defaults to a constant delay.",
    )
    jitter: Literal["FULL", "PLUS_MINUS"] | None = Field(
        default=None, description="How the delay is changed at random. Defaults to no change."
    )


def _retry_policy(_: dg.ResolutionContext, given: RetryPolicyModel) -> dg.RetryPolicy:
    return dg.RetryPolicy(
        max_retries=given.max_retries,
        delay=given.delay,
        backoff=None if given.backoff is None else dg.Backoff[given.backoff],
        jitter=None if given.jitter is None else dg.Jitter[given.jitter],
    )


# Dagster's own values that an option may hold: the model of each, and what reads it.
_OF_DAGSTER: Mapping[Any, tuple[Any, Any]] = {
    dg.RetryPolicy: (RetryPolicyModel, _retry_policy),
    dg.BackfillPolicy: (
        SingleRunBackfillPolicyModel | MultiRunBackfillPolicyModel,
        resolve_backfill_policy,
    ),
}


def yaml_resolver(option: type, name: str, model: Any = None) -> dg.Resolver:
    """Return the resolver of a component's field that holds an option.

    Args:
        option: The class of the option, which `redcap_dagster.options.option` made.
        name: Name of the option in YAML.
        model: What YAML may hold. Defaults to the model of the option, or nothing.
    """

    def resolve(context: dg.ResolutionContext, given: Any) -> Any:
        check_is_mapping(context, given)
        return read_option(option, given, context) if isinstance(given, BaseModel) else given

    return dg.Resolver(resolve, model_field_type=model or option_model(option, name) | None)


def check_is_mapping(context: dg.ResolutionContext, given: Any) -> None:
    """Raise `ValueError` for a text in the place of an option that has options of its own."""
    if isinstance(given, str):
        raise ValueError(
            f"{context.path[-1]}: it is a text, but has options of its own. Write them below it, "
            "one in each line: NAME: VALUE."
        )


@cache
def option_model(option: type, name: str) -> type[OptionModel]:
    """Return the model that validates the YAML of an option.

    Args:
        option: The class of the option.
        name: Name of the option in YAML, for errors.

    Example:
        >>> from redcap_dagster import PartitionSettings
        >>> option_model(PartitionSettings, "partitions").model_json_schema()["required"]
        ['buckets']
    """
    texts, hints = attribute_texts(option), get_type_hints(option, include_extras=True)
    given: dict[str, Any] = {
        each.name: (
            _model_type(hints[each.name], each.name),
            Field(default=_default(each), description=texts[each.name]),
        )
        for each in dataclasses.fields(option)
    }
    base = type(option.__name__, (OptionModel,), {"model_config": ConfigDict(title=name)})
    return create_model(f"{option.__name__}Model", __base__=base, **given)


def read_option(option: type[T], given: BaseModel, context: dg.ResolutionContext) -> T:
    """Return the option that a model holds, with its templates resolved.

    Fields that YAML leaves out have the defaults of the option.
    """
    hints = get_type_hints(option)
    values = {
        name: _read(hints[name], getattr(given, name), context.at_path(name))
        for name in given.model_fields_set
    }
    return option(**values)


def _default(of: "dataclasses.Field[Any]") -> Any:
    if of.default_factory is not dataclasses.MISSING:
        return of.default_factory()
    return ... if of.default is dataclasses.MISSING else of.default


def _model_type(hint: Any, name: str) -> Any:
    """Return the type of YAML for the type of a field."""
    if hint in _OF_DAGSTER:
        return _OF_DAGSTER[hint][0]
    if dataclasses.is_dataclass(hint):
        return option_model(hint, name)  # type: ignore[arg-type]
    if isinstance(hint, EnumType):
        return hint | Annotated[str, Field(pattern=r"\{\{")]  # a template
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return reduce(or_, [_model_type(one, name) for one in inner])
    if origin is Mapping:
        return dict.__class_getitem__((inner[0], _model_type(inner[1], name)))
    if origin is Sequence:
        return list.__class_getitem__(_model_type(inner[0], name))
    return hint


def _read(hint: Any, given: Any, context: dg.ResolutionContext) -> Any:
    """Return the value of a field that YAML gives."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        if given is None:
            return None
        (hint,) = [one for one in inner if one is not type(None)][:1]
        return _read(hint, given, context)
    if hint in _OF_DAGSTER:
        return _OF_DAGSTER[hint][1](context, given)
    if dataclasses.is_dataclass(hint):
        return read_option(hint, given, context)  # type: ignore[arg-type]
    if origin is Mapping:
        return {key: _read(inner[1], one, context.at_path(key)) for key, one in given.items()}
    if origin is Sequence:
        return [_read(inner[0], one, context.at_path(n)) for n, one in enumerate(given)]
    if isinstance(hint, EnumType) and isinstance(given, str):
        return _read_member(hint, context.resolve_value(given))
    # A text without a template stays a text: Dagster would read "99" as a number.
    return context.resolve_value(given) if isinstance(given, str) and "{{" in given else given


def _read_member(kind: EnumType, name: Any) -> Any:
    """Return the member of an enumeration that the text of a template names."""
    if name not in kind.__members__:
        raise ValueError(
            f"{shown_name(name)!r} is not one of {', '.join(kind.__members__)}. Correct the "
            "variable that the template reads."
        )
    return kind[name]
