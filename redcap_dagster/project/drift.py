"""The changes between two structures of one project."""

from collections.abc import Mapping
from dataclasses import dataclass

from redcap_dagster.project.model import REDCapProject
from redcap_dagster.project.rows import Field

# Columns that tables and checks depend on, unlike those for the layout on the screen.
_COLUMNS = (
    "form_name",
    "field_label",
    "text_validation_min",
    "text_validation_max",
    "identifier",
    "branching_logic",
    "required_field",
    "field_annotation",
)
_WITH_CHOICES = ("radio", "dropdown", "checkbox")


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the data dictionary.

    Attributes:
        field_name: Name of the field.
        form_name: Instrument that has the field now, or had it before it was removed.
        what: ``added``, ``removed``, ``type``, ``choices``, or a column of the dictionary.
        detail: Types or codes of choices before and now. Defaults to blank.
    """

    field_name: str
    form_name: str
    what: str
    detail: str = ""


def compare_projects(before: REDCapProject, now: REDCapProject) -> tuple[Change, ...]:
    """Return the changes of the data dictionary between two structures of a project.

    Args:
        before: Earlier structure.
        now: Later structure.

    Returns:
        The changes in the order of the later dictionary, removed fields last.

    Example:
        >>> before, now = [REDCapProject.from_exports(metadata=[
        ...     {"field_name": "id", "form_name": "a"},
        ...     {"field_name": "sex", "form_name": "a", "field_type": "radio",
        ...      "select_choices_or_calculations": choices}])
        ...     for choices in ("1, F | 2, M", "1, Female | 3, Other")]
        >>> [change.detail for change in compare_projects(before, now)]
        ['added 3; removed 2; relabeled 1']
    """
    old = {field.field_name: field for field in before.fields}
    new = {field.field_name: field for field in now.fields}
    found: list[Change] = []
    for name, field in new.items():
        if name in old:
            found.extend(_compare_fields(old[name], field))
        else:
            found.append(Change(name, field.form_name, "added", _describe_type(field)))
    removed = [field for name, field in old.items() if name not in new]
    return (*found, *(Change(field.field_name, field.form_name, "removed") for field in removed))


def _compare_fields(old: Field, new: Field) -> list[Change]:
    if old == new:
        return []
    found: dict[str, str] = {}
    if _describe_type(old) != _describe_type(new):
        found["type"] = f"from {_describe_type(old)} to {_describe_type(new)}"
    if old.select_choices_or_calculations != new.select_choices_or_calculations:
        if new.field_type in _WITH_CHOICES and old.field_type in _WITH_CHOICES:
            if old.choices != new.choices:
                found["choices"] = _describe_choices(_map_labels(old), _map_labels(new))
        else:
            found["select_choices_or_calculations"] = ""
    found |= {name: "" for name in _COLUMNS if getattr(old, name) != getattr(new, name)}
    return [Change(new.field_name, new.form_name, what, text) for what, text in found.items()]


def _describe_type(field: Field) -> str:
    return f"{field.field_type} ({field.validation})" if field.validation else field.field_type


def _map_labels(field: Field) -> Mapping[str, str]:
    return {choice.code: choice.label for choice in field.choices}


def _describe_choices(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    codes_by_change = {
        "added": [code for code in new if code not in old],
        "removed": [code for code in old if code not in new],
        "relabeled": [code for code in new if code in old and old[code] != new[code]],
    }
    texts = [f"{what} {', '.join(codes)}" for what, codes in codes_by_change.items() if codes]
    return "; ".join(texts) or "in another order"
