"""The sandbox as a whole: a server in a thread of this process, by default on loopback only."""

import logging
import re
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import uvicorn

from redcap_dagster.project.system_columns import ACCESS_GROUP
from redcap_dagster.sandbox.calls.log import write_record_log
from redcap_dagster.sandbox.documents.reports import add_report
from redcap_dagster.sandbox.http.app import ANSWERS, Answered, create_app
from redcap_dagster.sandbox.http.exchange import Fault
from redcap_dagster.sandbox.http.wire import Wire, web_server
from redcap_dagster.sandbox.records.files import keep_embedded
from redcap_dagster.sandbox.records.randomization import add_randomization
from redcap_dagster.sandbox.store.loading import check_place, columns_of, load, stored
from redcap_dagster.sandbox.store.rights import Rights
from redcap_dagster.sandbox.store.store import Place, Store, StoredProject, forms_at

logger = logging.getLogger("redcap_dagster.sandbox")

_TOKEN = re.compile(r"[0-9A-F]{32}")


class Sandbox:
    """A REDCap for tests, at ``url`` from `start` to `stop`; then its projects are gone, or kept.

    Args:
        version: The REDCap version that it says it is; some answers differ by it.
        port: The port to listen on; by default any free one.
        time_zone: The server's, in which REDCap tells and takes all times.
        clock: What gives the time, for tests of what changed when; it has a time zone.
        host: The address to listen on. Any but a loopback one opens it to others, without TLS.
        keep: A file to keep the projects in, for the next sandbox that is given it; only the user
            can read it. The super token is another one each time.

    Example:
        >>> with Sandbox(version="14.7.3") as sandbox:
        ...     token = sandbox.add_project(
        ...         exports={"metadata": [{"field_name": "id", "form_name": "visit"}]})
        >>> len(token)
        32
    """

    def __init__(
        self,
        version: str = "14.7.3",
        port: int = 0,
        time_zone: tzinfo = UTC,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        host: str = "127.0.0.1",
        keep: str | Path | None = None,
    ) -> None:
        if not re.fullmatch(r"\d+\.\d+\.\d+", version):
            raise ValueError(f"A REDCap version is three numbers, as 14.7.3; got {version!r}.")
        self.version = version
        self._port = port
        self._zone = time_zone
        self._clock = clock
        self._host = host
        self._keep = None if keep is None else Path(keep)
        self._store: Store | None = None
        self._wire: Wire | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._requests: list[Answered] = []
        self._url = ""

    # -- coming and going -------------------------------------------------------------------

    def start(self) -> Self:
        """Begin to listen. It answers as soon as this returns.

        Raises:
            OSError: The address cannot be had.
            ValueError: The file to keep the projects in is not a sandbox's, or is in use.
        """
        if self._store is not None:
            raise RuntimeError("The sandbox is running already.")
        store = Store(lambda: self._clock().astimezone(self._zone), self.version, self._keep)
        try:
            listener = socket.create_server((self._host, self._port))
        except OSError:
            store.close()
            raise
        address, port = listener.getsockname()
        if not ip_address(address).is_loopback:
            logger.warning("The sandbox listens on %s: others on the network reach it.", address)
        self._url = f"http://{self._host}:{port}/api/"
        self._store = store
        self._requests = []
        answered = self._requests.append
        self._wire = Wire(create_app(self._store, answered), answered)
        self._server = web_server(self._wire)
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), name="redcap-sandbox", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop listening and let go of all projects; does nothing if it is not running."""
        if self._store is None or self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join()
        self._store.close()
        self._store = self._wire = self._server = self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The address of the API."""
        self._running()
        return self._url

    @property
    def super_token(self) -> str:
        """The token that creates projects."""
        return self._running().super_token

    @property
    def requests(self) -> tuple[Answered, ...]:
        """What was answered so far, in order."""
        return tuple(self._requests)

    # -- faults -----------------------------------------------------------------------------

    def inject(
        self, fault: Fault, *, content: str | None = None, after: int = 0, times: int | None = None
    ) -> None:
        """Let something go wrong from now on; several faults act together, the last one first.

        Args:
            fault: What goes wrong; see `redcap_dagster.sandbox.faults`.
            content: Only for requests of this content, such as ``record``.
            after: How many of these requests pass by it first.
            times: For how many requests it then stands there; by default until `clear_faults`.

        Raises:
            ValueError: There is no such content, or a number that is too small.
        """
        if content is not None and content not in {known for known, _ in ANSWERS}:
            raise ValueError("content: not one that this sandbox answers, such as record.")
        if after < 0 or (times is not None and times < 1):
            raise ValueError("after: give 0 or more; times: give 1 or more, or None for always.")
        self._injectable().inject(fault, content, after, times)

    def clear_faults(self) -> None:
        """Take all faults away, bans too."""
        self._injectable().clear()

    # -- projects and records ---------------------------------------------------------------

    def add_project(
        self,
        xml: str | Path | None = None,
        *,
        exports: Mapping[str, Any] | None = None,
        records: Sequence[Mapping[str, object]] = (),
        token: str | None = None,
        rights: Mapping[str, Any] | None = None,
    ) -> str:
        """Add a project; give the token that opens it.

        Args:
            xml: A project XML file, with or without records.
            exports: Instead, what the API exports, by content name (``metadata``,
                ``formEventMapping``, ...): lists of dicts, of which only ``metadata`` is required.
            records: With exports, flat rows as a record export has them. Survey columns and the
                access group make a project with surveys and groups. A form status of ``0`` says
                that the form was saved; leave it blank where it was not.
            token: A token of one's own: 32 digits and letters A to F.
            rights: What the user of the token may do, by the names of a user export; what is left
                out is allowed. See `redcap_dagster.sandbox.store.rights.Rights`.

        Raises:
            ValueError: What was given makes no project; the text has no value and no record id.
        """
        store = self._running()
        if token is not None and not _TOKEN.fullmatch(token):
            raise ValueError("A token is 32 characters, each a digit or a letter from A to F.")
        structure, cells, points = load(xml, exports, records)
        given = Rights.of_row(rights or {})
        token = store.add(replace(structure, version=self.version), token, given)
        store.save(self._project(token), cells)
        keep_embedded(store, self._project(token), points)
        return token

    def add_user(self, token: str, username: str, rights: Mapping[str, Any] | None = None) -> str:
        """Add a user to a project; give the token that opens it for this user.

        Args:
            token: A token of the project.
            username: The name, by which the log tells what the user did.
            rights: As `add_project` takes them.

        Raises:
            ValueError: The project has this user already, or a right is none.
        """
        store, project = self._running(), self._project(token)
        given = Rights.of_row(rights or {})
        with store.lock:
            if username in store.users(project.id):
                raise ValueError("The project has a user of this name already.")
            store.save_user(project.id, username, given)
            return store.token_of(project.id, username)

    def token_of(self, token: str, username: str) -> str:
        """Give the token of another user of a project, such as one that was imported.

        Raises:
            KeyError: The project has no such user.
        """
        return self._running().token_of(self._project(token).id, username)

    def set_rights(self, token: str, rights: Mapping[str, Any]) -> None:
        """Change some rights of the user of a token, as an administrator would.

        Raises:
            ValueError: A name that is no right, or a value that is no number.
        """
        project = self._project(token)
        self._running().save_user(project.id, project.username, project.rights.changed(rights))

    def edit(
        self,
        token: str,
        *,
        record: str,
        field: str,
        value: str,
        event: str = "",
        repeat_instrument: str = "",
        repeat_instance: int = 0,
    ) -> None:
        """Change one stored value, or clear it with a blank one.

        Args:
            token: The project's token.
            record: The record, which is made if it is not there; likewise the instance.
            field: The export column: ``age``, ``race___1`` (0 or 1), ``visit_complete``.
            value: What to store.
            event: The unique event name, if longitudinal.
            repeat_instrument: The repeating form, if the field's form repeats there.
            repeat_instance: The instance of the form or the event.

        Raises:
            ValueError: The project has no such column, or not at this place.
        """
        project = self._project(token)
        place = Place(record, event, repeat_instrument, repeat_instance)
        check_place(project.structure, place)
        column = columns_of(project.structure).get(field)
        if column is not None:
            if column.field.form_name not in forms_at(project.structure, event, repeat_instrument):
                raise ValueError(f"The form of {field} is not at this event and repeating form.")
            value = stored(column, value)
        elif field != ACCESS_GROUP:
            raise ValueError(f"The project has no export column {field!r} to edit.")
        store = self._running()
        with store.lock:
            new = not store.has(project, record)
            store.save(project, [(place, {field: value})])
            write_record_log(store, project, "Create" if new else "Update", record, {field: value})

    def add_report(self, token: str, fields: Sequence[str], filter_logic: str = "") -> int:
        """Put a report of some fields together; give its ``report_id``.

        Raises:
            ValueError: A field that the project does not have.
        """
        return add_report(self._running(), self._project(token), fields, filter_logic)

    def add_randomization(
        self,
        token: str,
        target_field: str,
        allocations: Sequence[Mapping[str, object]],
        event: str = "",
    ) -> int:
        """Set a randomization up, as at REDCap's pages; give its ``randomization_id``.

        Args:
            token: A token of the project.
            target_field: The field of choices that a randomized record gets a value of.
            allocations: The allocation table in its order: rows of the target field and of the
                fields that stratify, with ``redcap_randomization_number`` as the alternative.
            event: Where these fields are, if longitudinal.

        Raises:
            ValueError: A field that does not fit, or a value that is none of its choices.
        """
        project = self._project(token)
        return add_randomization(self._running(), project, target_field, allocations, event)

    def delete_record(self, token: str, record: str) -> None:
        """Delete a record, in all arms.

        Raises:
            KeyError: There is no such record.
        """
        store, project = self._running(), self._project(token)
        if not store.delete(project, record):
            raise KeyError("The project has no such record.")
        write_record_log(store, project, "Delete", record)

    def _injectable(self) -> Wire:
        self._running()
        assert self._wire is not None  # noqa: S101
        return self._wire

    def _running(self) -> Store:
        if self._store is None:
            raise RuntimeError("The sandbox is not running: use it in a with statement, or start.")
        return self._store

    def _project(self, token: str) -> StoredProject:
        project = self._running().find(token)
        if project is None:
            raise KeyError("No project of this sandbox has this token.")
        return project
