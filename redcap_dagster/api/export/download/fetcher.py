"""Fetches records in requests of limited size: one table, and the records that responses lack."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

import pyarrow as pa

from redcap_dagster.api.export.download.merge import drop_added_rows, join_parts
from redcap_dagster.api.export.download.parallel import RequestResult, run_requests
from redcap_dagster.api.export.download.progress import Meter, Report, show_bar
from redcap_dagster.api.export.plan.adaptive_limits import (
    AdaptiveLimits,
    ExportBudget,
)
from redcap_dagster.api.export.plan.column_sets import ColumnSet
from redcap_dagster.api.export.plan.listing import Listing
from redcap_dagster.api.export.plan.query import ExportQuery
from redcap_dagster.api.export.plan.record_requests import Limits, RecordRequest, plan_requests
from redcap_dagster.api.export.reader.records import (
    changed_columns_error,
    concat_responses,
    has_same_columns,
    is_blank,
    read_records,
)
from redcap_dagster.api.export.reader.row_keys import check_distinct_keys, drop_records
from redcap_dagster.api.http.transport import Transport


@dataclass(frozen=True)
class ExportSettings:
    """Settings of a record export.

    Attributes:
        limits: The limits of one request.
        concurrency: Number of requests in parallel. Defaults to 2.
        budget: When the export gives up. Defaults to that of `ExportBudget`.
        text: The Arrow type of all columns but keys. Defaults to `pyarrow.string`.
    """

    limits: Limits = field(default_factory=Limits)
    concurrency: int = 2
    budget: ExportBudget = field(default_factory=ExportBudget)
    text: pa.DataType = field(default_factory=pa.string)


@dataclass(frozen=True)
class FetchedRecords:
    """The rows of some requests, and the records that are incomplete in them.

    Attributes:
        table: The rows, in REDCap's own order.
        absent: The records of which a response lacks listed rows, each with the instruments that
            the missing rows may hold. Defaults to none.
        responses: The number of responses of which the table consists. Defaults to 1.
    """

    table: pa.Table = field(repr=False)
    absent: Mapping[str, frozenset[str]] = field(default_factory=dict, repr=False)
    responses: int = 1

    def drop(self, records: Collection[str], id_field: str) -> "FetchedRecords":
        """Return the rows without those of some records."""
        if not records:
            return self
        return FetchedRecords(
            drop_records(self.table, records, id_field),
            {record: forms for record, forms in self.absent.items() if record not in records},
            self.responses,
        )


@dataclass(frozen=True)
class Fetcher:
    """Fetches the records of a query.

    Attributes:
        transport: The connection.
        query: The query.
        settings: The settings of the export.
        adaptive_limits: The request size limits, by what the server could serve so far.
        report: Is called with the progress. None shows a bar in a terminal or a notebook.
        list_exported: Returns the columns that the token's user may export.
        received: The columns of all responses so far.
    """

    transport: Transport
    query: ExportQuery
    settings: ExportSettings
    adaptive_limits: AdaptiveLimits
    report: Report | None
    list_exported: Callable[[Transport], Collection[str]]
    received: set[str] = field(default_factory=set)

    def plan(self, listing: Listing) -> tuple[RecordRequest, ...]:
        """Return the requests for all listed records."""
        return self._plan(listing, self.settings.limits, named=self.query.selects_records)

    def fetch_again(self, listing: Listing, *, smaller: bool) -> FetchedRecords:
        """Fetch some records again; if `smaller`, half of them at a time."""
        limits, most = self.settings.limits, len(listing.records)
        if smaller:
            most = (most + 1) // 2
            limits = replace(limits, max_records=min(limits.max_records or most, most))
        return self.fetch(self._plan(listing, limits, named=True), listing)

    def _plan(self, listing: Listing, limits: Limits, *, named: bool) -> tuple[RecordRequest, ...]:
        query = self.query
        return plan_requests(
            query.project,
            query.column_set,
            listing,
            limits,
            named=named,
            apart=not query.labeled,
            concurrency=self.settings.concurrency,
        )

    def fetch(self, requests: Sequence[RecordRequest], listing: Listing) -> FetchedRecords:
        """Fetch the requests of a plan for some records.

        Raises:
            MalformedResponseError: Responses to requests for the same columns have different ones.
            REDCapError: A request failed. The type says why.
        """
        several = len(requests) > 1
        shown = nullcontext(self.report) if self.report or not several else show_bar()
        with shown as report:
            meter = Meter(sum(request.cells for request in requests), report or (lambda _: None))
            results = self._run(requests, meter)
            if odd := _find_other_columns(results):
                kept = [result for result in results if result not in odd]
                again = self._run([result.request for result in odd], meter)
                results = sorted([*kept, *again], key=lambda one: one.request.start)
                if _find_other_columns(results):
                    raise changed_columns_error()
            headers = self._run(_plan_headers(results), meter)
        by_column_set: dict[ColumnSet, list[pa.Table]] = {}
        for result in results:
            if not is_blank(result.rows):
                by_column_set.setdefault(result.request.column_set, []).append(result.rows)
        for header in headers:
            if not is_blank(header.rows):
                by_column_set[header.request.column_set] = [header.rows.slice(0, 0)]
        tables = [self._concat(rows) for rows in by_column_set.values()] or [results[0].rows]
        table = join_parts(tables, self.query.project, listing.records)
        if len(tables) > 1 and not self.query.labeled:
            table = drop_added_rows(table, listing.rows, self.query)
        return FetchedRecords(
            table,
            _find_absent(results, listing, self.query),
            len(results),
        )

    def _concat(self, tables: Sequence[pa.Table]) -> pa.Table:
        """Return the rows of requests for the same columns, of which none has the key of another.

        Each response has records of its own, but two listed ids may be one for REDCap.
        """
        rows = concat_responses(tables)
        if self.query.labeled or len(tables) == 1:
            return rows
        return check_distinct_keys(rows, self.query.project.record_id_field)

    def _run(self, requests: Sequence[RecordRequest], meter: Meter) -> list[RequestResult]:
        return run_requests(
            self.transport,
            requests,
            self._fetch_rows,
            adaptive_limits=self.adaptive_limits,
            concurrency=self.settings.concurrency,
            on_result=lambda one: meter.add(one.rows.num_rows, one.request.cells),
        )

    def _fetch_rows(self, transport: Transport, request: RecordRequest) -> pa.Table:
        """Return the rows of a request.

        One that was cut names only fields that the user may export: servers refuse others.
        """
        column_set = request.column_set
        if column_set != self.query.column_set and column_set.names_fields:
            column_set = column_set.select(self.list_exported(transport))
        return read_records(
            transport,
            self.query.write_request(replace(request, column_set=column_set)),
            self.query.project.record_id_field,
            self.adaptive_limits.choose_retries(request),
            project=self.query.project,
            on_header=self.received.update,
            text=self.settings.text,
        )


def _plan_headers(results: Sequence[RequestResult]) -> list[RecordRequest]:
    """Return requests for the columns of which no response has a row, where others have rows.

    Newer servers name no columns without rows. In some event, a listed record has a row.
    """
    named = {one.request.column_set for one in results if not is_blank(one.rows)}
    blank = {one.request.column_set: one.request for one in results} if named else {}
    return [
        replace(request, column_set=replace(column_set, events=()), start=0, stop=1, named=True)
        for column_set, request in blank.items()
        if column_set not in named
    ]


def _find_other_columns(results: Sequence[RequestResult]) -> list[RequestResult]:
    """Return the results with other columns than the widest result of the same column set."""
    widest: dict[ColumnSet, list[str]] = {}
    for result in results:
        column_set, names = result.request.column_set, result.rows.schema.names
        if column_set not in widest or len(names) > len(widest[column_set]):
            widest[column_set] = names
    return [
        result
        for result in results
        if not is_blank(result.rows)
        and not has_same_columns(result.rows.schema.names, widest[result.request.column_set])
    ]


def _find_absent(
    results: Sequence[RequestResult], listing: Listing, query: ExportQuery
) -> dict[str, frozenset[str]]:
    """Return the records of which responses lack listed rows, each with the instruments."""
    if query.labeled:
        listing = listing.keep_ids_only()
    by_column_set: dict[ColumnSet, list[RequestResult]] = {}
    for result in results:
        by_column_set.setdefault(result.request.column_set, []).append(result)
    absent: dict[str, frozenset[str]] = {}
    for column_set, some in by_column_set.items():
        tables = [one.rows for one in some if not is_blank(one.rows)] or [some[0].rows]
        forms = {
            form.form
            for form in column_set.forms
            if query.instance_fields.get(form.form) in [name for name, _ in form.fields]
        }
        listed = listing
        if sum(one.request.stop - one.request.start for one in some) < len(listing.records):
            listed = listing.select_records(
                {record for one in some for record in one.request.records}
            )
        listed = listed.keep_forms(forms)
        for row in listed.find_missing(
            pa.concat_tables(tables), column_set.events or None
        ).to_pylist():
            record, own = row[listing.id_field], frozenset(form.form for form in column_set.forms)
            absent[record] = absent.get(record, frozenset()) | own & query.find_forms_in_row(row)
    return absent
