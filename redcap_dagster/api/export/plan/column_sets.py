"""The column sets of requests: entire instruments or single fields, together or apart."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from redcap_dagster.project import REDCapProject
from redcap_dagster.project.columns import is_timestamp_field


@dataclass(frozen=True)
class InstrumentColumns:
    """The requested columns of one instrument.

    Attributes:
        form: The instrument.
        fields: The requested fields, each with its number of columns.
        all_fields: Whether these are all its fields, so that naming the instrument is enough.
            Defaults to True.
    """

    form: str
    fields: tuple[tuple[str, int], ...]
    all_fields: bool = True

    @property
    def width(self) -> int:
        """The number of columns."""
        return sum(width for _, width in self.fields)


@dataclass(frozen=True)
class ColumnSet:
    """Columns that one request exports together.

    Attributes:
        forms: The columns of each instrument. If empty, only the keys are exported.
        events: The events to export. Defaults to all events.
        subset: Whether these are fewer columns than the project has, so that the request has to
            name them. Defaults to False.
    """

    forms: tuple[InstrumentColumns, ...]
    events: tuple[str, ...] = ()
    subset: bool = False

    @property
    def width(self) -> int:
        """The number of columns, without those that REDCap adds."""
        return 1 + sum(form.width for form in self.forms)

    @property
    def divisible(self) -> bool:
        """Whether the columns can be split."""
        return len(self.forms) > 1 or (bool(self.forms) and len(self.forms[0].fields) > 1)

    def split_in_halves(self) -> tuple["ColumnSet", ...]:
        """Return two halves, split between or within instruments; none if that is impossible."""
        if len(self.forms) > 1:
            middle = len(self.forms) // 2
            pieces = (self.forms[:middle], self.forms[middle:])
        elif self.divisible:
            (form,) = self.forms
            middle = len(form.fields) // 2
            pieces = (
                (replace(form, fields=form.fields[:middle], all_fields=False),),
                (replace(form, fields=form.fields[middle:], all_fields=False),),
            )
        else:
            return ()
        return tuple(replace(self, forms=forms, subset=True) for forms in pieces)

    @property
    def named(self) -> int:
        """The number of fields, instruments and events that a request has to name."""
        forms = self.forms if self.subset else ()
        return len(self.events) + sum(1 if form.all_fields else len(form.fields) for form in forms)

    @property
    def names_fields(self) -> bool:
        """Whether a request has to name fields."""
        return self.subset and not all(form.all_fields for form in self.forms)

    def select(self, columns: Collection[str]) -> "ColumnSet":
        """Return the columns without the named fields of which an export has no column.

        Args:
            columns: The columns of an export of all fields. Without any, they are not known.
        """
        known = {*columns} | {name.partition("___")[0] for name in columns}
        forms = (
            form
            if form.all_fields
            else replace(form, fields=tuple(one for one in form.fields if one[0] in known))
            for form in self.forms
        )
        return replace(self, forms=tuple(forms)) if known else self


def select_columns(
    project: REDCapProject, fields: Sequence[str] | None, forms: Sequence[str] | None
) -> tuple[InstrumentColumns, ...]:
    """Return the requested columns of each instrument.

    Args:
        project: The structure.
        fields: The requested fields.
        forms: The requested instruments, in addition. None of both for all instruments.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[
        ...     {"field_name": "id", "form_name": "a"}, {"field_name": "age", "form_name": "a"},
        ...     {"field_name": "dose", "form_name": "b"}])
        >>> [(form.form, form.fields) for form in select_columns(project, ["age"], ["b"])]
        [('a', (('age', 1),)), ('b', (('dose', 1), ('b_complete', 1)))]
    """
    everything = fields is None and forms is None
    named_fields, named_forms = set(fields or ()), set(forms or ())
    selected: list[InstrumentColumns] = []
    for instrument in project.instruments:
        form = instrument.instrument_name
        all_fields = everything or form in named_forms
        widths = tuple(
            (own.field_name, len(project.options(own)) if own.field_type == "checkbox" else 1)
            for own in project.instrument_fields(form)
            if not is_timestamp_field(own) and (all_fields or own.field_name in named_fields)
        )
        if widths:
            selected.append(InstrumentColumns(form, widths, all_fields))
    return tuple(selected)


def always_repeats(project: REDCapProject, form: str) -> bool:
    """Return whether an instrument repeats in every event in which it is designated."""
    repeating = set(project.events_where_repeating(form))
    return bool(repeating) and repeating.issuperset(project.designated_events(form) or ("",))


def list_repeating_events(
    project: REDCapProject, form: str, events: Sequence[str]
) -> tuple[str, ...]:
    """Return the events, of some or of all where none are given, in which an instrument repeats."""
    repeating = project.events_where_repeating(form)
    return tuple(event for event in repeating if not events or event in events)
