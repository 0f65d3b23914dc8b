"""The requests of a plan, several at a time; what breaks for its size is asked for in halves."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

import pyarrow as pa

from redcap_dagster.api.errors import REDCapError
from redcap_dagster.api.export.plan.adaptive_limits import Pressure
from redcap_dagster.api.export.plan.record_requests import RecordRequest
from redcap_dagster.api.http.transport import Transport


@dataclass(frozen=True)
class Gathered:
    """A request and what came of it."""

    request: RecordRequest
    rows: pa.Table = field(repr=False)


Ask = Callable[[Transport, RecordRequest], pa.Table]


def gather(
    transport: Transport,
    requests: Sequence[RecordRequest],
    ask: Ask,
    *,
    pressure: Pressure,
    concurrency: int,
    came: Callable[[Gathered], None],
) -> list[Gathered]:
    """Ask for all of a plan, and give the answers in the order of its records.

    Whatever ends this, an error or an interrupt of the run, ends the requests under way too.

    Args:
        transport: The connection, from which each thread gets one of its own.
        requests: The plan. If it is a single request, it is asked from here, without threads.
        ask: Asks for one.
        pressure: What the server could bear so far.
        concurrency: How many requests are under way at a time.
        came: Is told of each answer.

    Raises:
        REDCapError: Of a request that failed, where to ask for less does not help.
    """
    waiting = deque(requests)
    answers: list[Gathered] = []

    def take(request: RecordRequest, answer: Callable[[], pa.Table]) -> None:
        try:
            answers.append(Gathered(request, answer()))
        except REDCapError as error:
            waiting.extendleft(reversed(pressure.smaller(request, error)))
            return
        pressure.relax()
        came(answers[-1])

    if len(waiting) == 1:
        only = waiting.popleft()
        take(only, lambda: ask(transport, only))
    lanes = [transport.fork() for _ in range(concurrency)] if waiting else []
    pool = ThreadPoolExecutor(max(len(lanes), 1), thread_name_prefix="redcap")
    free, running = deque(lanes), dict[Future[pa.Table], tuple[RecordRequest, Transport]]()
    try:
        while waiting or running:
            while waiting and free and not (running and pressure.careful):
                request, *rest = pressure.fitting(waiting.popleft())
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
    return sorted(answers, key=lambda one: one.request.start)
