"""What has changed between two structures of one project."""

from collections.abc import Mapping
from dataclasses import dataclass

from redcap_dagster.project.model import REDCapProject
from redcap_dagster.project.rows import Field

# What tables and checks are made from; how a field looks on the screen is no matter.
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
        field_name: The field.
        form_name: Its instrument, of late; of a field that was removed, the one it had.
        what: ``added``, ``removed``, ``type``, ``choices``, or the column of the dictionary.
        detail: What was before and is now, of types and the codes of choices; else blank.
    """

    field_name: str
    form_name: str
    what: str
    detail: str = ""


def compare_projects(before: REDCapProject, now: REDCapProject) -> tuple[Change, ...]:
    """Compare two structures of a project, field by field.

    Returns:
        The changes, by the order of the later dictionary; fields that were removed come last.

    Example:
        >>> before, now = [REDCapProject.from_exports(metadata=[
        ...     {"field_name": "id", "form_name": "a"},
        ...     {"field_name": "sex", "form_name": "a", "field_type": "radio",
        ...      "select_choices_or_calculations": choices}])
        ...     for choices in ("1, F | 2, M", "1, Female | 3, Other")]
        >>> [change.detail for change in compare_projects(before, now)]
        ['added 3; removed 2; relabelled 1']
    """
    old = {field.field_name: field for field in before.fields}
    new = {field.field_name: field for field in now.fields}
    found: list[Change] = []
    for name, field in new.items():
        if name in old:
            found.extend(_changes_of(old[name], field))
        else:
            found.append(Change(name, field.form_name, "added", _type(field)))
    gone = [field for name, field in old.items() if name not in new]
    return (*found, *(Change(field.field_name, field.form_name, "removed") for field in gone))


def _changes_of(old: Field, new: Field) -> list[Change]:
    if old == new:
        return []
    found: dict[str, str] = {}
    if _type(old) != _type(new):
        found["type"] = f"from {_type(old)} to {_type(new)}"
    if old.select_choices_or_calculations != new.select_choices_or_calculations:
        if new.field_type in _WITH_CHOICES and old.field_type in _WITH_CHOICES:
            if old.choices != new.choices:
                found["choices"] = _of_choices(_labels(old), _labels(new))
        else:
            found["select_choices_or_calculations"] = ""
    found |= {name: "" for name in _COLUMNS if getattr(old, name) != getattr(new, name)}
    return [Change(new.field_name, new.form_name, what, text) for what, text in found.items()]


def _type(field: Field) -> str:
    return f"{field.field_type} ({field.validation})" if field.validation else field.field_type


def _labels(field: Field) -> Mapping[str, str]:
    return {choice.code: choice.label for choice in field.choices}


def _of_choices(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    differing = {
        "added": [code for code in new if code not in old],
        "removed": [code for code in old if code not in new],
        "relabelled": [code for code in new if code in old and old[code] != new[code]],
    }
    named = [f"{what} {', '.join(codes)}" for what, codes in differing.items() if codes]
    return "; ".join(named) or "in another order"
