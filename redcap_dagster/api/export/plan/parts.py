"""What is asked for of each form: whole forms or single fields, together or apart."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from redcap_dagster.project import REDCapProject
from redcap_dagster.project.system_columns import timestamp_column


@dataclass(frozen=True)
class FormColumns:
    """What is asked for of one form.

    Attributes:
        form: Its name.
        fields: Those asked for, with the number of columns of each.
        whole: Whether these are all of them, so that naming the form is enough.
    """

    form: str
    fields: tuple[tuple[str, int], ...]
    whole: bool = True

    @property
    def width(self) -> int:
        """How many columns it has."""
        return sum(width for _, width in self.fields)


@dataclass(frozen=True)
class Part:
    """Columns that are asked for together.

    Attributes:
        forms: Of which forms; where there is none, the keys alone.
        events: Only in these; empty for all.
        cut: Whether these are fewer than the caller asked for, so that they have to be named.
    """

    forms: tuple[FormColumns, ...]
    events: tuple[str, ...] = ()
    cut: bool = False

    @property
    def width(self) -> int:
        """How many columns it has, without those that REDCap adds."""
        return 1 + sum(form.width for form in self.forms)

    @property
    def divisible(self) -> bool:
        """Whether it has halves."""
        return len(self.forms) > 1 or (bool(self.forms) and len(self.forms[0].fields) > 1)

    def halves(self) -> tuple["Part", ...]:
        """Cut it between two forms, or within the only one; nothing where that cannot be."""
        if len(self.forms) > 1:
            middle = len(self.forms) // 2
            pieces = (self.forms[:middle], self.forms[middle:])
        elif self.divisible:
            (form,) = self.forms
            middle = len(form.fields) // 2
            pieces = (
                (replace(form, fields=form.fields[:middle], whole=False),),
                (replace(form, fields=form.fields[middle:], whole=False),),
            )
        else:
            return ()
        return tuple(replace(self, forms=forms, cut=True) for forms in pieces)

    @property
    def named_fields(self) -> int:
        """How many fields have to be named."""
        return sum(len(form.fields) for form in self.forms if not form.whole)


def select_columns(
    project: REDCapProject, fields: Sequence[str] | None, forms: Sequence[str] | None
) -> tuple[FormColumns, ...]:
    """Give what is asked for of each form, where fields and forms add up and none of both is all.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[
        ...     {"field_name": "id", "form_name": "a"}, {"field_name": "age", "form_name": "a"},
        ...     {"field_name": "dose", "form_name": "b"}])
        >>> [(form.form, form.fields) for form in select_columns(project, ["age"], ["b"])]
        [('a', (('age', 1),)), ('b', (('dose', 1), ('b_complete', 1)))]
    """
    everything = fields is None and forms is None
    named_fields, named_forms = set(fields or ()), set(forms or ())
    selected: list[FormColumns] = []
    for instrument in project.instruments:
        form = instrument.instrument_name
        whole = everything or form in named_forms
        widths = tuple(
            (own.field_name, len(project.options(own)) if own.field_type == "checkbox" else 1)
            for own in project.instrument_fields(form)
            if own.field_name != timestamp_column(form)
            and (whole or own.field_name in named_fields)
        )
        if widths:
            selected.append(FormColumns(form, widths, whole))
    return tuple(selected)


def always_repeats(project: REDCapProject, form: str) -> bool:
    """Whether a form repeats in each event in which it is designated."""
    repeating = set(project.events_where_repeating(form))
    return bool(repeating) and repeating.issuperset(project.designated_events(form) or ("",))


def repeats_in(project: REDCapProject, form: str, events: Sequence[str]) -> tuple[str, ...]:
    """In which of some events, or of all where none are named, a form repeats; see the project."""
    repeating = project.events_where_repeating(form)
    return tuple(event for event in repeating if not events or event in events)
