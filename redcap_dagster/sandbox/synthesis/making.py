"""The values of made-up records: those of a field in all records, then those of the next field."""

from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Final

from redcap_dagster.project.system_columns import status_column
from redcap_dagster.sandbox.synthesis.expressions import Expression, Inputs, Source
from redcap_dagster.sandbox.synthesis.plan import FieldPlan, StudyPlan
from redcap_dagster.sandbox.synthesis.records import MadeUpRecord, Place
from redcap_dagster.sandbox.synthesis.values import find_mistake, make_drawer

_BLANK_SHARE: Final = 0.05
_CODE_SHARE: Final = 0.02
_TICKED_SHARE: Final = 0.3
_EXCLUSIVE_SHARE: Final = 0.1
_COMPARED_SHARE: Final = 0.3
_STATUSES: Final = "2222222210"
_MOST_ATTEMPTS: Final = 100

Wishes = Mapping[tuple[str, str, str], str]
"""Values that a record is to have, by column, event and instance; both may be blank."""


class RecordMaker:
    """Records of a study that are made up together.

    Attributes:
        plan: The fields with their logic.
        rng: Source of chance.
        taken: Values of the secondary unique field in other records; new ones are added.
        records: The records.
    """

    def __init__(self, plan: StudyPlan, rng: Random, taken: set[str]) -> None:
        self.plan = plan
        self.rng = rng
        self.taken = taken
        self.records: list[MadeUpRecord] = []
        self._wishes: dict[MadeUpRecord, Mapping[Place, Mapping[str, str]]] = {}
        self._saved: dict[tuple[str, Place], list[MadeUpRecord]] = {}
        self._is_made: dict[tuple[str, Place], bool] = {}
        self._asked: dict[tuple[Expression, str, Place], Sequence[MadeUpRecord]] = {}
        self._read_early: set[str] = set()
        self._blank: list[tuple[MadeUpRecord, FieldPlan, Place]] = []

    def add_record(
        self, name: str, group: str, saved: Mapping[Place, frozenset[str]], wishes: Wishes
    ) -> None:
        """Add a record without values.

        Args:
            name: Record id.
            group: Access group; blank for none.
            saved: Instruments that were saved in each row.
            wishes: Values that it is to have where it can.
        """
        record = MadeUpRecord(self.plan, name, group, saved, self._make_field)
        self.records.append(record)
        if wishes:
            self._wishes[record] = {place: _find_wishes(record, place, wishes) for place in saved}
        for place, forms in saved.items():
            for form in forms:
                self._saved.setdefault((form, place), []).append(record)

    def make_values(self) -> None:
        """Make up the values of all records."""
        for place in dict.fromkeys(place for _, place in self._saved):
            for field in self.plan.kinds[place[0]]:
                self._make_field(field.name, place)
        self._settle()
        self._asked.clear()
        for record, field, place in self._blank:
            status = status_column(field.field.form_name)
            is_blank = not record.is_filled(field, place) and record.is_asked(field, place)
            if is_blank and status not in self.plan.dependents:
                record.rows[place][status] = "0"  # no value would be right

    # -- in the order of references -------------------------------------------------------------

    def _make_field(self, name: str, place: Place) -> None:
        """Make up the values of a field in a place of all records, unless they are there."""
        is_made = self._is_made.get((name, place))
        if is_made is False:
            self._read_early.add(name)  # what it needs refers to it
        if is_made is not None:
            return
        field = self.plan.fields.get(name)
        if field is None or name == self.plan.project.record_id_field:
            return
        self._is_made[name, place] = False
        records = self._saved.get((field.field.form_name, place), ())
        for expression in (field.calculation, field.low, field.high):
            self._make_inputs(expression, place)
        if field.calculation is not None:
            for record in records:
                record.set_values(field, place, {name: record.calculate(field, place) or ""})
        elif field.is_calculated:
            for record in records:
                record.set_values(field, place, {name: self._draw_compared(record, field, place)})
        else:
            self._fill(field, place, self._find_asked(field, place, records))
        self._is_made[name, place] = True

    def _make_inputs(self, expression: Expression | None, place: Place) -> None:
        """Make up what logic reads in the row itself; other rows are made up when they are read."""
        if expression is not None:
            for source in self.plan.find_sources(place[0], expression).inputs:
                if isinstance(source, Source) and source.kind is None:
                    self._make_field(source.field, place)

    def _find_asked(
        self, field: FieldPlan, place: Place, records: Sequence[MadeUpRecord]
    ) -> Sequence[MadeUpRecord]:
        """Return the records that are asked a field; many fields are asked by the same logic."""
        if field.branching is None:
            return () if field.field.branching_logic.strip() else records
        key = (field.branching, field.field.form_name, place)
        found = self._asked.get(key)
        if found is None:
            self._make_inputs(field.branching, place)
            inputs = self._read_inputs(field.branching, place, records)
            truths = {values: field.branching.is_true(values) for values in set(inputs)}
            found = self._asked[key] = [
                record
                for record, values in zip(records, inputs, strict=True)
                if truths[values] is True
            ]
        return found

    def _read_inputs(
        self, expression: Expression, place: Place, records: Sequence[MadeUpRecord]
    ) -> Sequence[Inputs]:
        """Return what logic reads in a place of each record."""
        own = self.plan.find_sources(place[0], expression).own
        if not own:
            return [record.read_inputs(expression, place) for record in records]
        rows = [record.rows[place] for record in records]
        columns = [[row.get(column, blank) for row in rows] for column, blank in own]
        return list(zip(*columns, strict=True))

    def _settle(self) -> None:
        """Clear fields of circular logic, and those that depend on them, if by now not asked."""
        fields = list(self.plan.list_dependent(self._read_early))
        cleared = bool(fields)
        while cleared:
            cleared = False
            for field in fields:
                for record, place in self._list_places(field):
                    if field.calculation is not None:
                        value = record.calculate(field, place) or ""
                        record.set_values(field, place, {field.name: value})
                    elif field.is_calculated or not record.is_filled(field, place):
                        continue
                    elif not record.is_asked(field, place):
                        record.set_values(field, place, field.blanks)
                        cleared = True
        self._blank += [
            (record, field, place)
            for field in fields
            if field.required and not field.is_calculated
            for record, place in self._list_places(field)
        ]

    def _list_places(self, field: FieldPlan) -> Iterator[tuple[MadeUpRecord, Place]]:
        for (form, place), records in self._saved.items():
            if form == field.field.form_name:
                yield from ((record, place) for record in records)

    # -- values -------------------------------------------------------------------------------

    def _fill(self, field: FieldPlan, place: Place, records: Sequence[MadeUpRecord]) -> None:
        """Draw the values of a field in records that are asked it."""
        if field.field.field_type == "checkbox" and not field.hidden:
            self._tick(field, place, records)
        elif not field.hidden:
            is_unique = field.name == self.plan.project.info.secondary_unique_field
            draw = self._draw_unique if is_unique else self._draw
            for record in records:
                if value := draw(record, field, place):
                    record.rows[place][field.name] = value
        if field.required:
            self._blank += [
                (record, field, place) for record in records if not record.is_filled(field, place)
            ]

    def _draw_unique(self, record: MadeUpRecord, field: FieldPlan, place: Place) -> str:
        """Return a value that no other row has; blank if there are no more."""
        for _ in range(_MOST_ATTEMPTS):
            value = self._draw(record, field, place)
            if value and field.field.field_type == "text" and not field.field.validation:
                value = f"{value} {len(self.taken) + 1}"
            if value not in self.taken:
                self.taken |= {value} - {""}
                return value
        return ""

    def _draw(self, record: MadeUpRecord, field: FieldPlan, place: Place) -> str:
        wish = self._find_wish(record, field.name, place)
        if wish is not None and self._takes(record, field, place, wish):
            return wish
        if field.is_status:
            return self.rng.choice(_STATUSES)
        if not field.required:
            share = self.rng.random()
            if share < _BLANK_SHARE:
                return ""
            if share > 1 - _CODE_SHARE and field.missing_codes:
                return self.rng.choice(field.missing_codes)
        compared = () if field.codes else self.plan.compared.get(field.name, ())
        if compared and self.rng.random() < _COMPARED_SHARE:
            value = self.rng.choice(compared)
            if not find_mistake(field.field, value, record.find_bounds(field, place)):
                return value
        if field.ranked_with:
            codes = _list_codes(record, field, place)
            return self.rng.choice(codes) if codes else ""
        if field.low or field.high:
            bounds = record.find_bounds(field, place)
            return make_drawer(field.field, bounds, field.codes)(self.rng)
        return field.draw(self.rng)

    def _takes(self, record: MadeUpRecord, field: FieldPlan, place: Place, wish: str) -> bool:
        """Return whether a field can have a value that its record is to have."""
        if wish == "":
            return not field.required
        if field.ranked_with and wish not in _list_codes(record, field, place):
            return False
        return not find_mistake(field.field, wish, record.find_bounds(field, place))

    def _find_wish(self, record: MadeUpRecord, column: str, place: Place) -> str | None:
        wishes = self._wishes.get(record)
        return wishes[place].get(column) if wishes else None

    def _draw_compared(self, record: MadeUpRecord, field: FieldPlan, place: Place) -> str:
        """Return a value that logic asks about, for a calculation that only the server knows."""
        wish = self._find_wish(record, field.name, place)
        compared = self.plan.compared.get(field.name)
        if wish is not None or not compared:
            return wish or ""
        return self.rng.choice(compared)

    def _tick(self, field: FieldPlan, place: Place, records: Sequence[MadeUpRecord]) -> None:
        """Tick options of a checkbox, of which some exclude all others."""
        chance = self.rng.random
        allowed = [name for name, code in field.columns if code in field.codes]
        exclusive = {name for name, code in field.columns if code in field.exclusive}
        shares = [
            (name, (_EXCLUSIVE_SHARE if name in exclusive else _TICKED_SHARE) * (name in allowed))
            for name, _ in field.columns
        ]
        for record in records:
            wishes = self._wishes.get(record, {}).get(place, {})
            ticked = [
                name
                for name, share in shares
                if (wishes[name] == "1" if name in wishes else chance() < share)
            ]
            if not ticked and field.required and allowed:
                ticked = [self.rng.choice(allowed)]
            alone = [name for name in ticked if name in exclusive]
            chosen = alone[:1] or ticked[: field.most_ticked]
            record.rows[place].update(dict.fromkeys(chosen, "1"))


def _list_codes(record: MadeUpRecord, field: FieldPlan, place: Place) -> Sequence[str]:
    """Return the codes of a ranking that no other field has."""
    taken = {record.rows[place].get(name) for name in field.ranked_with}
    return [code for code in field.codes if code not in taken]


def _find_wishes(record: MadeUpRecord, place: Place, wishes: Wishes) -> Mapping[str, str]:
    """Return the values that one row of a record is to have, by column."""
    kind, number = place
    behind = max(record.instances[kind]) - number
    roles = [str(number)]  # the first of several wishes comes last
    roles += ["first-instance"] if number == 1 else []
    roles += ["previous-instance"] if behind == 1 else []
    roles += ["last-instance", ""] if behind == 0 else []
    return {
        column: value
        for role in roles
        for event in ("", kind.event)
        for (column, at, instance), value in wishes.items()
        if (at, instance) == (event, role)
    }
