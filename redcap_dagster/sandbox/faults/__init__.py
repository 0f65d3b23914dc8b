"""Failures between a client and REDCap, to give to `Sandbox.inject`.

Each fault imitates what users of real servers reported. It intercepts requests before REDCap: it
responds without REDCap, or passes the request on and changes REDCap's response.
To write another fault, implement `Fault`.

Example:
    >>> import requests
    >>> from redcap_dagster.sandbox import Sandbox
    >>> from redcap_dagster.sandbox.faults import Status
    >>> with Sandbox() as sandbox:
    ...     sandbox.inject(Status(503, "<html>Service Unavailable</html>"), times=1)
    ...     print([requests.post(sandbox.url, timeout=10).status_code for _ in range(2)])
    [503, 501]
"""

# Used by `fault_options`; imports `sandbox.http` and `sandbox.protocol`.

from redcap_dagster.sandbox.faults.changed_responses import (
    Cost,
    Cut,
    Delimiter,
    DroppedRecords,
    Latin1,
    Reset,
    SlowFirstByte,
    SlowTrickle,
)
from redcap_dagster.sandbox.faults.responses_without_redcap import (
    EMPTY,
    NO_DATABASE,
    OUT_OF_MEMORY,
    WEB_PAGE,
    Ban,
    Firewall,
    Meanwhile,
    MemoryLimit,
    Redirect,
    Status,
)
from redcap_dagster.sandbox.http.fault import Fault, InterceptedRequest, OutgoingResponse, REDCap

__all__ = [
    "EMPTY",
    "NO_DATABASE",
    "OUT_OF_MEMORY",
    "WEB_PAGE",
    "Ban",
    "Cost",
    "Cut",
    "Delimiter",
    "DroppedRecords",
    "Fault",
    "Firewall",
    "InterceptedRequest",
    "Latin1",
    "Meanwhile",
    "MemoryLimit",
    "OutgoingResponse",
    "REDCap",
    "Redirect",
    "Reset",
    "SlowFirstByte",
    "SlowTrickle",
    "Status",
]
