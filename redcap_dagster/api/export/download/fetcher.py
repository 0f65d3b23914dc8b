"""Records by requests of bounded size -> one table, and which records the answers left out."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

import pyarrow as pa

from redcap_dagster.api.errors import MalformedResponseError
from redcap_dagster.api.export.download.merge import join_parts
from redcap_dagster.api.export.download.parallel import RequestResult, run_requests
from redcap_dagster.api.export.download.progress import Meter, Report, bar
from redcap_dagster.api.export.plan.adaptive_limits import (
    AdaptiveLimits,
    should_retry_divisible,
    should_retry_whole,
)
from redcap_dagster.api.export.plan.listing import Listing
from redcap_dagster.api.export.plan.parts import Part
from redcap_dagster.api.export.plan.query import ExportQuery
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
class FetchedRecords:
    """What came of some requests.

    Attributes:
        table: The rows, in REDCap's own order.
        absent: Ids of records of which an answer left out listed rows, and what these may have
            held: forms, or none.
        responses: How many responses it is made of.
    """

    table: pa.Table = field(repr=False)
    absent: Mapping[str, frozenset[str]] = field(default_factory=dict, repr=False)
    responses: int = 1


@dataclass(frozen=True)
class Fetcher:
    """Asks for records.

    Attributes:
        transport: The connection.
        query: What is asked for.
        settings: How.
        adaptive_limits: What the server could bear so far.
        report: Is told how far it is; None shows a bar to who sits in front of it.
    """

    transport: Transport
    query: ExportQuery
    settings: ExportSettings
    adaptive_limits: AdaptiveLimits
    report: Report | None

    def plan(self, listing: Listing) -> tuple[RecordRequest, ...]:
        """Cut the question into requests for all records that are listed."""
        return self._plan(listing, self.settings.limits, named=self.query.narrowed)

    def fetch_again(self, listing: Listing, *, smaller: bool) -> FetchedRecords:
        """Ask for some records again; if `smaller`, for half of them at a time."""
        limits, most = self.settings.limits, len(listing.records)
        if smaller:
            most = (most + 1) // 2
            limits = replace(limits, max_records=min(limits.max_records or most, most))
        return self.fetch(self._plan(listing, limits, named=True), listing)

    def _plan(self, listing: Listing, limits: Limits, *, named: bool) -> tuple[RecordRequest, ...]:
        query = self.query
        return plan_requests(
            query.project,
            query.part,
            listing,
            limits,
            named=named,
            apart=not query.labeled,
            concurrency=self.settings.concurrency,
        )

    def fetch(self, requests: Sequence[RecordRequest], listing: Listing) -> FetchedRecords:
        """Ask for all of a plan for these records.

        Raises:
            MalformedResponseError: Answers to the same columns have different ones.
            REDCapError: Of the type that says what is wrong.
        """
        several = len(requests) > 1
        shown = nullcontext(self.report) if self.report or not several else bar()
        with shown as report:
            meter = Meter(sum(request.cells for request in requests), report or (lambda _: None))
            responses = self._gather(requests, meter)
            if odd := _odd_ones(responses):
                meant = [response.request for response in odd]
                responses = [response for response in responses if response not in odd]
                responses = sorted(
                    [*responses, *self._gather(meant, meter)], key=lambda one: one.request.start
                )
            if _odd_ones(responses):
                raise changed_columns_error()
        by_part: dict[Part, list[pa.Table]] = {}
        for response in responses:
            if not is_blank(response.rows):
                by_part.setdefault(response.request.part, []).append(response.rows)
        tables = [pa.concat_tables(rows) for rows in by_part.values()] or [responses[0].rows]
        return FetchedRecords(
            join_parts(tables, self.query.project, listing.records),
            _absent(responses, listing, self.query),
            len(responses),
        )

    def _gather(self, requests: Sequence[RecordRequest], meter: Meter) -> list[RequestResult]:
        return run_requests(
            self.transport,
            requests,
            self._ask,
            adaptive_limits=self.adaptive_limits,
            concurrency=self.settings.concurrency,
            on_result=lambda one: meter.add(one.rows.num_rows, one.request.cells),
        )

    def _ask(self, transport: Transport, request: RecordRequest) -> pa.Table:
        return read_records(
            transport,
            self.query.parameters(request),
            self.query.project.record_id_field,
            should_retry_divisible if request.divisible else should_retry_whole,
        )


def changed_columns_error() -> MalformedResponseError:
    """Make the error for answers that do not fit together."""
    return MalformedResponseError(
        f"{REQUEST}: answers to the same question have different columns: the dictionary or the "
        "token's rights were changed meanwhile, or the server is overloaded. Try again later.",
        request=REQUEST,
    )


def is_blank(rows: pa.Table) -> bool:
    """Whether no row came, and no header, which newer servers do not send then."""
    return bool(rows.num_rows == 0 and rows.num_columns == 1)


def _odd_ones(responses: Sequence[RequestResult]) -> list[RequestResult]:
    """Find the answers that have fewer columns than others to the same, or other ones."""
    widest: dict[Part, pa.Schema] = {}
    for response in responses:
        part, schema = response.request.part, response.rows.schema
        if part not in widest or len(schema) > len(widest[part]):
            widest[part] = schema
    return [
        response
        for response in responses
        if not is_blank(response.rows) and response.rows.schema != widest[response.request.part]
    ]


def _absent(
    responses: Sequence[RequestResult], listing: Listing, query: ExportQuery
) -> dict[str, frozenset[str]]:
    """Name the records that are listed, and that the answers to requests for them lack."""
    if query.labeled:
        listing = listing.keep_ids_only()
    by_part: dict[Part, list[RequestResult]] = {}
    for response in responses:
        by_part.setdefault(response.request.part, []).append(response)
    absent: dict[str, frozenset[str]] = {}
    for part, some in by_part.items():
        tables = [one.rows for one in some if not is_blank(one.rows)] or [some[0].rows]
        forms = {
            form.form
            for form in part.forms
            if query.instance_fields.get(form.form) in [name for name, _ in form.fields]
        }
        listed = listing
        if sum(one.request.stop - one.request.start for one in some) < len(listing.records):
            listed = listing.select_records(
                {record for one in some for record in one.request.records}
            )
        listed = listed.keep_forms(forms)
        for row in listed.find_missing(pa.concat_tables(tables), part.events or None).to_pylist():
            record, own = row[listing.id_field], frozenset(form.form for form in part.forms)
            absent[record] = absent.get(record, frozenset()) | own & query.find_forms_in_row(row)
    return absent
