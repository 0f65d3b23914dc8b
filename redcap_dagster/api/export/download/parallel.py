"""The requests of a plan, several at a time; what breaks for its size is asked for in halves."""

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
    """A request and what came of it."""

    request: RecordRequest
    rows: pa.Table = field(repr=False)


Ask = Callable[[Transport, RecordRequest], pa.Table]


def run_requests(
    transport: Transport,
    requests: Sequence[RecordRequest],
    ask: Ask,
    *,
    adaptive_limits: AdaptiveLimits,
    concurrency: int,
    on_result: Callable[[RequestResult], None],
) -> list[RequestResult]:
    """Ask for all of a plan, and give the answers in the order of its records.

    Whatever ends this, an error or an interrupt of the run, ends the requests under way too.

    Args:
        transport: The connection, from which each thread gets one of its own.
        requests: The plan. If it is a single request, it is asked from here, without threads.
        ask: Asks for one.
        adaptive_limits: What the server could bear so far.
        concurrency: How many requests are under way at a time.
        on_result: Is called with each response.

    Raises:
        REDCapError: Of a request that failed, where to ask for less does not help.
    """
    waiting = deque(requests)
    responses: list[RequestResult] = []

    def take(request: RecordRequest, response: Callable[[], pa.Table]) -> None:
        try:
            responses.append(RequestResult(request, response()))
        except REDCapError as error:
            waiting.extendleft(reversed(adaptive_limits.split_failed(request, error)))
            return
        adaptive_limits.note_success()
        on_result(responses[-1])

    if len(waiting) == 1:
        only = waiting.popleft()
        take(only, lambda: ask(transport, only))
    lanes = [transport.fork() for _ in range(concurrency)] if waiting else []
    pool = ThreadPoolExecutor(max(len(lanes), 1), thread_name_prefix="redcap")
    free, running = deque(lanes), dict[Future[pa.Table], tuple[RecordRequest, Transport]]()
    try:
        while waiting or running:
            while waiting and free and not (running and adaptive_limits.careful):
                request, *rest = adaptive_limits.split_to_limits(waiting.popleft())
                if rest:
                    waiting.extendleft(reversed([request, *rest]))
                    continue
                lane = free.popleft()
                running[pool.submit(ask, lane, request)] = (request, lane)
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                request, lane = running.pop(done)
                free.append(lane)
                take(request, done.result)
    except BaseException:
        for lane in lanes:
            lane.stop()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    finally:
        transport.sent += sum(lane.sent for lane in lanes)
    pool.shutdown()
    for lane in lanes:
        lane.close()
    return sorted(responses, key=lambda one: one.request.start)
