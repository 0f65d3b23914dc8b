"""Records by requests of bounded size -> one table, and which records the answers left out."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

import pyarrow as pa

from redcap_dagster.api.errors import MalformedAnswerError
from redcap_dagster.api.export.download.merge import join
from redcap_dagster.api.export.download.parallel import Gathered, gather
from redcap_dagster.api.export.download.progress import Meter, Report, bar
from redcap_dagster.api.export.plan.adaptive_limits import Pressure, as_a_whole, in_halves
from redcap_dagster.api.export.plan.listing import Listing
from redcap_dagster.api.export.plan.parts import Part
from redcap_dagster.api.export.plan.query import Question
from redcap_dagster.api.export.plan.record_requests import Limits, RecordRequest, plan_requests
from redcap_dagster.api.export.reader.records import read_records
from redcap_dagster.api.export.reader.row_keys import REQUEST
from redcap_dagster.api.http.transport import Transport


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
        absent: Ids of records of which an answer left out listed rows, and what these may have
            held: forms, or none.
        answers: How many answers it is made of.
    """

    table: pa.Table = field(repr=False)
    absent: Mapping[str, frozenset[str]] = field(default_factory=dict, repr=False)
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

    def plan(self, listing: Listing) -> tuple[RecordRequest, ...]:
        """Cut the question into requests for all records that are listed."""
        return self._plan(listing, self.settings.limits, named=self.question.narrowed)

    def again(self, listing: Listing, *, smaller: bool) -> Fetched:
        """Ask for some records again; if `smaller`, for half of them at a time."""
        limits, most = self.settings.limits, len(listing.records)
        if smaller:
            most = (most + 1) // 2
            limits = replace(limits, max_records=min(limits.max_records or most, most))
        return self.fetch(self._plan(listing, limits, named=True), listing)

    def _plan(self, listing: Listing, limits: Limits, *, named: bool) -> tuple[RecordRequest, ...]:
        question = self.question
        return plan_requests(
            question.project,
            question.part,
            listing,
            limits,
            named=named,
            apart=not question.labelled,
            concurrency=self.settings.concurrency,
        )

    def fetch(self, requests: Sequence[RecordRequest], listing: Listing) -> Fetched:
        """Ask for all of a plan for these records.

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
        return Fetched(
            join(tables, self.question.project, listing.records),
            _absent(answers, listing, self.question),
            len(answers),
        )

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
    widest: dict[Part, pa.Schema] = {}
    for answer in answers:
        part, schema = answer.request.part, answer.rows.schema
        if part not in widest or len(schema) > len(widest[part]):
            widest[part] = schema
    return [
        answer
        for answer in answers
        if not is_blank(answer.rows) and answer.rows.schema != widest[answer.request.part]
    ]


def _absent(
    answers: Sequence[Gathered], listing: Listing, question: Question
) -> dict[str, frozenset[str]]:
    """Name the records that are listed, and that the answers to requests for them lack."""
    if question.labelled:
        listing = listing.by_id()
    by_part: dict[Part, list[Gathered]] = {}
    for answer in answers:
        by_part.setdefault(answer.request.part, []).append(answer)
    absent: dict[str, frozenset[str]] = {}
    for part, some in by_part.items():
        tables = [one.rows for one in some if not is_blank(one.rows)] or [some[0].rows]
        forms = {
            form.form
            for form in part.forms
            if question.witnesses.get(form.form) in [name for name, _ in form.fields]
        }
        listed = listing
        if sum(one.request.stop - one.request.start for one in some) < len(listing.records):
            listed = listing.only({record for one in some for record in one.request.records})
        listed = listed.of_forms(forms)
        for row in listed.lacking(pa.concat_tables(tables), part.events or None).to_pylist():
            record, own = row[listing.id_field], frozenset(form.form for form in part.forms)
            absent[record] = absent.get(record, frozenset()) | own & question.forms_at(row)
    return absent
