"""Records by requests of bounded size -> one table, and which records the answers left out."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

import pyarrow as pa

from redcap_dagster.api.columns import Part
from redcap_dagster.api.errors import MalformedAnswerError
from redcap_dagster.api.exports import read_records
from redcap_dagster.api.gathering import Gathered, gather
from redcap_dagster.api.keys import REPEAT_COLUMNS, REQUEST
from redcap_dagster.api.matrix import join
from redcap_dagster.api.plan import Limits, Listed, RecordRequest, plan_requests
from redcap_dagster.api.pressure import Pressure, as_a_whole, in_halves
from redcap_dagster.api.progress import Meter, Report, bar
from redcap_dagster.api.question import Question
from redcap_dagster.api.transport import Transport


@dataclass(frozen=True)
class ExportSettings:
    """How records are exported.

    Attributes:
        limits: How large a request may be.
        concurrency: How many requests are under way at a time.
    """

    limits: Limits = field(default_factory=Limits)
    concurrency: int = 2


@dataclass(frozen=True)
class Fetched:
    """What came of some requests.

    Attributes:
        table: The rows, in REDCap's own order.
        absent: Ids of records that were asked for, and that an answer left out.
        answers: How many answers it is made of.
    """

    table: pa.Table = field(repr=False)
    absent: frozenset[str] = field(default=frozenset(), repr=False)
    answers: int = 1


@dataclass(frozen=True)
class Fetcher:
    """Asks for records.

    Attributes:
        transport: The connection.
        question: What is asked.
        settings: How.
        pressure: What the server could bear so far.
        report: Is told how far it is; None shows a bar to who sits in front of it.
    """

    transport: Transport
    question: Question
    settings: ExportSettings
    pressure: Pressure
    report: Report | None

    def plan(self, places: Listed) -> tuple[RecordRequest, ...]:
        """Cut the question into requests for all records of some places."""
        return self._plan(places, self.settings.limits, named=self.question.narrowed)

    def again(self, places: Listed, *, smaller: bool) -> Fetched:
        """Ask for some records again; if `smaller`, for half of them at a time."""
        limits, most = self.settings.limits, len(places.records)
        if smaller:
            most = (most + 1) // 2
            limits = replace(limits, max_records=min(limits.max_records or most, most))
        return self.fetch(self._plan(places, limits, named=True), places)

    def _plan(self, places: Listed, limits: Limits, *, named: bool) -> tuple[RecordRequest, ...]:
        question = self.question
        return plan_requests(
            question.project,
            question.part,
            places,
            limits,
            named=named,
            apart=not question.labelled,
        )

    def fetch(self, requests: Sequence[RecordRequest], places: Listed) -> Fetched:
        """Ask for all of a plan of these places.

        Raises:
            MalformedAnswerError: Answers to the same columns have different ones.
            REDCapError: Of the type that says what is wrong.
        """
        several = len(requests) > 1
        shown = nullcontext(self.report) if self.report or not several else bar()
        with shown as report:
            meter = Meter(sum(request.cells for request in requests), report or (lambda _: None))
            answers = self._gather(requests, meter)
            if odd := _odd_ones(answers):
                meant = [answer.request for answer in odd]
                answers = [answer for answer in answers if answer not in odd]
                answers = sorted(
                    [*answers, *self._gather(meant, meter)], key=lambda one: one.request.start
                )
            if _odd_ones(answers):
                raise columns_changed()
        by_part: dict[Part, list[pa.Table]] = {}
        for answer in answers:
            if not is_blank(answer.rows):
                by_part.setdefault(answer.request.part, []).append(answer.rows)
        tables = [pa.concat_tables(rows) for rows in by_part.values()] or [answers[0].rows]
        absent = _absent(answers, places, self.question)
        absent |= self._overlooked(answers, places, absent)
        return Fetched(
            join(tables, self.question.project, places.records), frozenset(absent), len(answers)
        )

    def _overlooked(
        self, answers: Sequence[Gathered], places: Listed, absent: set[str]
    ) -> set[str]:
        """Name records that have instances after all, though an answer has none of them.

        Where only forms are asked for that always repeat, a record without an instance may be left
        out, and so may one that is lost on the way: these are asked for once more.
        """
        question, limits = self.question, self.settings.limits
        id_field = question.project.record_id_field
        without: dict[Part, set[str]] = {}
        for answer in answers:
            part = answer.request.part
            if question.repeats(part) and (records := _lacking(answer, id_field) - absent):
                without.setdefault(part, set()).update(records)
        requests = [
            request
            for part, records in without.items()
            for request in plan_requests(
                question.project, part, places.only(records), limits, named=True, apart=False
            )
        ]
        again = self._gather(requests, Meter(0, lambda _: None))
        return {
            record for one in again for record in {*one.request.records} - _lacking(one, id_field)
        }

    def _gather(self, requests: Sequence[RecordRequest], meter: Meter) -> list[Gathered]:
        return gather(
            self.transport,
            requests,
            self._ask,
            pressure=self.pressure,
            concurrency=self.settings.concurrency,
            came=lambda one: meter.add(one.rows.num_rows, one.request.cells),
        )

    def _ask(self, transport: Transport, request: RecordRequest) -> pa.Table:
        return read_records(
            transport,
            self.question.parameters(request),
            self.question.project.record_id_field,
            in_halves if request.divisible else as_a_whole,
        )


def columns_changed() -> MalformedAnswerError:
    """Make the error for answers that do not fit together."""
    return MalformedAnswerError(
        f"{REQUEST}: answers to the same question have different columns: the dictionary or the "
        "token's rights were changed meanwhile, or the server is overloaded. Try again later.",
        request=REQUEST,
    )


def is_blank(rows: pa.Table) -> bool:
    """Whether no row came, and no header, which newer servers do not send then."""
    return bool(rows.num_rows == 0 and rows.num_columns == 1)


def _odd_ones(answers: Sequence[Gathered]) -> list[Gathered]:
    """Find the answers that have fewer columns than others to the same, or other ones."""
    widest: dict[Part, list[str]] = {}
    for answer in answers:
        part, names = answer.request.part, answer.rows.column_names
        if len(names) > len(widest.get(part, ())):
            widest[part] = names
    return [
        answer
        for answer in answers
        if not is_blank(answer.rows) and answer.rows.column_names != widest[answer.request.part]
    ]


def _absent(answers: Sequence[Gathered], places: Listed, question: Question) -> set[str]:
    """Name the records that are not in the answers to requests for them.

    Where the forms of a request always repeat, a record may have no instance. Whether REDCap lists
    it all the same, by a row that is no instance, is known from the other rows.
    """
    absent: set[str] = set()
    for answer in answers:
        request, rows = answer.request, answer.rows
        lacking = _lacking(answer, question.project.record_id_field)
        if lacking and request.part.cut and REPEAT_COLUMNS[0] in rows.column_names:
            instances = rows[REPEAT_COLUMNS[0]]
            if instances.null_count == 0 and question.repeats(request.part):
                continue
        if lacking:
            absent |= lacking & places.having(request.part.events or question.events)
    return absent


def _lacking(answer: Gathered, id_field: str) -> set[str]:
    """Name the records that were asked for, and of which no row came."""
    return set(answer.request.records).difference(answer.rows[id_field].to_pylist())
