"""The settings of a client, declared once: for the client, Dagster's resource and YAML."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from redcap_dagster.api.export.plan.adaptive_limits import MAX_FAILURES, PROGRESS_TIMEOUT
from redcap_dagster.api.export.plan.record_requests import MAX_CELLS, MAX_RECORDS
from redcap_dagster.api.http.transport import MAX_FILE_BYTES, MAX_PARAMETERS
from redcap_dagster.frames import Frames
from redcap_dagster.options import misspelt, with_attribute_texts

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@with_attribute_texts
class ClientSettings(BaseModel):
    """How a client sends requests to REDCap.

    Attributes:
        ca_bundle: PEM file with the certificate authorities to trust. Defaults to the usual public
            authorities.
        verify_tls: Verify the server's certificate. Defaults to true; leave it on.
        connect_timeout: Seconds to wait for a connection. Defaults to 10.
        read_timeout: Seconds to wait for the next bytes of a response. Defaults to 300.
        total_timeout: Seconds that one request may take in all, including the time in which your
            code works on streamed rows. A request that takes longer is not retried. Defaults to
            3600.
        retries: Number of times that a request is retried if the network or the server fails.
            Defaults to 5.
        backoff: Longest first wait before a retry, in seconds; each next one may last twice as
            long, up to a minute. Defaults to 1.
        max_cells: Rows times columns in one response; a larger export is split into several
            requests. Defaults to 500,000. None for no limit: an export of all records is then one
            request, which the client does not check against a census.
        max_records: Record ids in one request; firewalls refuse many. Defaults to 800. None for no
            limit.
        max_parameters: Parameters in one request: record ids, fields and all others. PHP ignores
            those after ``max_input_vars``, which is 1,000 by default. Defaults to 900.
        max_file_bytes: Size of a file or PDF that is exported or saved; a larger one raises
            ``FileTooLargeError``. Defaults to 1 GiB. None for no limit.
        concurrency: Requests of one export that run at the same time. Defaults to 2.
        max_failures: Requests of one export that fail in a row, each after its retries, until the
            export gives up. A response with a row resets the count. Defaults to 20.
        progress_timeout: Seconds without a row after which an export gives up if a request fails.
            Until then, it tries smaller requests. Defaults to 7200.
        rate_limit: Requests per minute to one host, over all processes of this user on this
            machine. REDCap bans an IP address that sends more than 600 (its default) until an
            administrator lifts the ban, so machines that share one address must share the limit:
            with three, give each 100. Defaults to 300. None for no limit. Requests to this machine
            itself are not limited.
        frames: Dtypes of the DataFrames that the client returns: ``pandas`` for those of ordinary
            pandas, or ``arrow`` for Arrow dtypes. Defaults to ``pandas``.

    Example:
        >>> ClientSettings(rate_limit=100).rate_limit
        100
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    ca_bundle: str | None = None
    verify_tls: bool = True
    connect_timeout: Seconds = 10
    read_timeout: Seconds = 300
    total_timeout: Seconds = 3600
    retries: Annotated[int, Field(ge=0)] = 5
    backoff: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1
    max_cells: Count | None = MAX_CELLS
    max_records: Count | None = MAX_RECORDS
    max_parameters: Annotated[int, Field(ge=100)] = MAX_PARAMETERS
    max_file_bytes: Count | None = MAX_FILE_BYTES
    concurrency: Count = 2
    max_failures: Count = MAX_FAILURES
    progress_timeout: Seconds = PROGRESS_TIMEOUT
    rate_limit: Count | None = 300
    frames: Frames = "pandas"

    @model_validator(mode="before")
    @classmethod
    def _check_names(cls, given: Any) -> Any:
        if isinstance(given, dict) and (
            unknown := misspelt(given, cls.model_fields.keys(), cls.__name__)
        ):
            raise ValueError(unknown)
        return given

    @field_validator("ca_bundle", mode="before")
    @classmethod
    def _take_path(cls, ca_bundle: Any) -> Any:
        return str(ca_bundle) if isinstance(ca_bundle, Path) else ca_bundle
