"""The requests of a plan in parallel; one that fails for its size is split into halves."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

import pyarrow as pa

from redcap_dagster.api.errors import REDCapError
from redcap_dagster.api.export.plan.adaptive_limits import AdaptiveLimits
from redcap_dagster.api.export.plan.record_requests import RecordRequest
from redcap_dagster.api.http.transport import Transport


@dataclass(frozen=True)
class RequestResult:
    """A request and its rows."""

    request: RecordRequest
    rows: pa.Table = field(repr=False)


Fetch = Callable[[Transport, RecordRequest], pa.Table]


def run_requests(
    transport: Transport,
    requests: Sequence[RecordRequest],
    fetch: Fetch,
    *,
    adaptive_limits: AdaptiveLimits,
    concurrency: int,
    on_result: Callable[[RequestResult], None],
) -> list[RequestResult]:
    """Return the results of all requests of a plan, in the order of its records.

    An error or an interrupt of the run stops the requests in progress too.

    Args:
        transport: The connection; each thread gets a fork of it.
        requests: The plan. A single request is sent without threads.
        fetch: Sends one request and returns its rows.
        adaptive_limits: The request size limits, by what the server could serve so far.
        concurrency: Number of requests in parallel.
        on_result: Is called with each result.

    Raises:
        REDCapError: A request failed, and smaller ones do not help. The type says why.
    """
    waiting, running = deque(requests), dict[Future[pa.Table], tuple[RecordRequest, Transport]]()
    if len(waiting) == 1:
        waiting = deque(adaptive_limits.split_to_limits(waiting[0]))
    results: list[RequestResult] = []

    def take(request: RecordRequest, get_rows: Callable[[], pa.Table]) -> None:
        try:
            results.append(RequestResult(request, get_rows()))
        except REDCapError as error:
            parts = adaptive_limits.split_failed(request, error, alone=not running)
            waiting.extendleft(reversed(parts))
            return
        adaptive_limits.note_success(request, results[-1].rows.num_rows)
        on_result(results[-1])

    if len(waiting) == 1:
        only = waiting.popleft()
        take(only, lambda: fetch(transport, only))
    connections = [transport.fork() for _ in range(concurrency)] if waiting else []
    pool = ThreadPoolExecutor(max(len(connections), 1), thread_name_prefix="redcap")
    free = deque(connections)
    try:
        while waiting or running:
            while waiting and free and not (running and adaptive_limits.careful):
                request, *rest = adaptive_limits.split_to_limits(waiting.popleft())
                if rest:
                    waiting.extendleft(reversed([request, *rest]))
                    continue
                connection = free.popleft()
                running[pool.submit(fetch, connection, request)] = (request, connection)
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                request, connection = running.pop(done)
                free.append(connection)
                take(request, done.result)
    except BaseException:
        for connection in connections:
            connection.stop()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    finally:
        transport.sent += sum(connection.sent for connection in connections)
    pool.shutdown()
    for connection in connections:
        connection.close()
    return sorted(results, key=lambda one: one.request.start)
