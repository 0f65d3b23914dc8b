"""The sandbox as a whole: a server in a thread of this process, on the loopback address."""

import re
import socket
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import uvicorn

from redcap_dagster.project import REDCapProject
from redcap_dagster.project.odm import read_odm
from redcap_dagster.sandbox.app import Answered, create_app
from redcap_dagster.sandbox.loading import (
    Cells,
    cells_of_points,
    cells_of_rows,
    columns_of,
    stored,
    structure_of_exports,
)
from redcap_dagster.sandbox.store import ACCESS_GROUP, Place, Store, StoredProject, forms_at

_TOKEN = re.compile(r"[0-9A-F]{32}")


class Sandbox:
    """A REDCap for tests, at ``url`` from `start` to `stop`; then its projects are gone.

    Args:
        version: The REDCap version that it says it is; some answers differ by it.
        port: The port to listen on; by default any free one.

    Example:
        >>> with Sandbox(version="14.7.3") as sandbox:
        ...     token = sandbox.add_project(
        ...         exports={"metadata": [{"field_name": "id", "form_name": "visit"}]})
        >>> len(token)
        32
    """

    def __init__(self, version: str = "14.7.3", port: int = 0) -> None:
        if not re.fullmatch(r"\d+\.\d+\.\d+", version):
            raise ValueError(f"A REDCap version is three numbers, as 14.7.3; got {version!r}.")
        self.version = version
        self._port = port
        self._store: Store | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._requests: list[Answered] = []
        self._url = ""

    # -- coming and going -------------------------------------------------------------------

    def start(self) -> Self:
        """Begin to listen. It answers as soon as this returns."""
        if self._store is not None:
            raise RuntimeError("The sandbox is running already.")
        listener = socket.create_server(("127.0.0.1", self._port))
        self._url = f"http://127.0.0.1:{listener.getsockname()[1]}/api/"
        self._store = Store()
        self._requests = []
        config = uvicorn.Config(
            create_app(self._store, self._requests.append),
            # Its own logs would hold paths and tracebacks; ours name contents and statuses.
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=5,
        )
        self._server = uvicorn.Server(config)
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
        self._store = self._server = self._thread = None

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
    def requests(self) -> tuple[Answered, ...]:
        """What was answered so far, in order."""
        return tuple(self._requests)

    # -- projects and records ---------------------------------------------------------------

    def add_project(
        self,
        xml: str | Path | None = None,
        *,
        exports: Mapping[str, Any] | None = None,
        records: Sequence[Mapping[str, object]] = (),
        token: str | None = None,
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

        Raises:
            ValueError: What was given makes no project; the text has no value and no record id.
        """
        store = self._running()
        if token is not None and not _TOKEN.fullmatch(token):
            raise ValueError("A token is 32 characters, each a digit or a letter from A to F.")
        cells: Sequence[Cells]
        if xml is not None and exports is None and not records:
            odm = read_odm(xml)
            structure = odm.project
            cells = list(cells_of_points(structure, odm.points))
        elif xml is None and exports is not None:
            structure = structure_of_exports(exports, records)
            cells = list(cells_of_rows(structure, records))
        else:
            raise ValueError("A project is made of a project XML, or else of exports and records.")
        for place, _ in cells:
            _check(structure, place)
        token = store.add(replace(structure, version=self.version), token)
        store.save(self._project(token), cells)
        return token

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
        _check(project.structure, place)
        column = columns_of(project.structure).get(field)
        if column is not None:
            if column.field.form_name not in forms_at(project.structure, event, repeat_instrument):
                raise ValueError(f"The form of {field} is not at this event and repeating form.")
            value = stored(column, value)
        elif field != ACCESS_GROUP:
            raise ValueError(f"The project has no export column {field!r} to edit.")
        self._running().save(project, [(place, {field: value})])

    def delete_record(self, token: str, record: str) -> None:
        """Delete a record, in all arms.

        Raises:
            KeyError: There is no such record.
        """
        if not self._running().delete(self._project(token), record):
            raise KeyError("The project has no such record.")

    def _running(self) -> Store:
        if self._store is None:
            raise RuntimeError("The sandbox is not running: use it in a with statement, or start.")
        return self._store

    def _project(self, token: str) -> StoredProject:
        project = self._running().find(token)
        if project is None:
            raise KeyError("No project of this sandbox has this token.")
        return project


def _check(structure: REDCapProject, place: Place) -> None:
    """Refuse a place that the project cannot have, which no export would show."""
    events = {row.unique_event_name for row in structure.events} or {""}
    if place.event not in events:
        raise ValueError("redcap_event_name: missing, or not an event of the project.")
    if place.instrument and not forms_at(structure, place.event, place.instrument):
        raise ValueError("redcap_repeat_instrument: not a form that repeats in this event.")
    repeats = bool(place.instrument) or place.event in structure.repeating_events
    if repeats != (place.instance > 0):
        raise ValueError("redcap_repeat_instance: given where nothing repeats, or missing.")
