"""The sandbox as a whole: its start and stop, its faults, its projects and users."""

import logging
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from starlette.types import ASGIApp, Receive, Scope, Send

from redcap_dagster.sandbox.design.project_creation import add_loaded_project
from redcap_dagster.sandbox.dialects import Dialect, read_dialect
from redcap_dagster.sandbox.http.app import HandledRequest, create_app
from redcap_dagster.sandbox.http.fault import Fault
from redcap_dagster.sandbox.http.fault_injection import FaultInjector
from redcap_dagster.sandbox.http.handlers import CONTENTS
from redcap_dagster.sandbox.http.web_server import WebServer
from redcap_dagster.sandbox.pages.app import create_pages
from redcap_dagster.sandbox.pages.session import Session
from redcap_dagster.sandbox.project_actions import ProjectActions
from redcap_dagster.sandbox.store.loading import load_project
from redcap_dagster.sandbox.store.rights import Rights
from redcap_dagster.sandbox.store.store import Store
from redcap_dagster.sandbox.synthesis.study import MadeUpStudy

logger = logging.getLogger("redcap_dagster.sandbox")

_TOKEN = re.compile(r"[0-9A-F]{32}")


class Sandbox(ProjectActions):
    """A REDCap for tests, reachable at ``url`` between `start` and `stop`; pages at ``pages_url``.

    As a context manager it starts on entry and stops on exit.

    Args:
        version: REDCap version that it reports; some responses depend on it. Defaults to None:
            that of the dialect, which is 14.7.3 by default.
        port: Port to listen on. Defaults to 0, which takes any free port.
        time_zone: Time zone of the server, in which REDCap sends and reads times. Defaults to
            UTC.
        clock: Function that returns the current time with a time zone, for tests of what changed
            when. Defaults to the time of this machine.
        host: Host name or IP address to listen on. Defaults to 127.0.0.1. Any that is not a
            loopback address opens the sandbox to the network, without TLS.
        keep: File to keep the projects in, for the next sandbox that is given this file; only the
            user can read it. Defaults to None, which deletes the projects on `stop`. The super
            token differs each time.
        dialect: How the server differs from others: a `Dialect` or the name of one, such as
            ``older``, ``foreign``, ``any`` (drawn at random) or ``any-7`` (drawn from a seed).
            Defaults to ``default``.
        share_pages: Whether the pages can be opened at addresses that others on the network
            reach, too. Defaults to False: those are for the API alone.

    Attributes:
        version: REDCap version that it reports.
        dialect: How the server differs from others.

    Raises:
        ValueError: The version is not three numbers, or there is no such dialect.

    Example:
        >>> from redcap_dagster.sandbox.faults import Status
        >>> with Sandbox(version="14.7.3") as sandbox:
        ...     token = sandbox.add_project(
        ...         exports={"metadata": [{"field_name": "id", "form_name": "visit"}]},
        ...         records=[{"id": "1", "visit_complete": "2"}],
        ...     )
        ...     sandbox.edit(token, record="2", field="visit_complete", value="0")
        ...     sandbox.delete_record(token, "1")
        ...     reader_token = sandbox.add_user(token, "reader", {"api_import": 0})
        ...     sandbox.set_rights(reader_token, {"logging": 0})
        ...     sandbox.inject(Status(503), content="record", times=2)
        >>> len(token)
        32
    """

    def __init__(
        self,
        version: str | None = None,
        port: int = 0,
        time_zone: tzinfo = UTC,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        host: str = "127.0.0.1",
        keep: str | Path | None = None,
        dialect: str | Dialect = "default",
        share_pages: bool = False,
    ) -> None:
        super().__init__()
        own = read_dialect(dialect) if isinstance(dialect, str) else dialect
        self.dialect = own if version is None else replace(own, version=version)
        self.version = self.dialect.version
        if not re.fullmatch(r"\d+\.\d+\.\d+", self.version):
            raise ValueError(
                f"A REDCap version is three numbers, such as 14.7.3; got {self.version!r}."
            )
        self._port = port
        self._zone = time_zone
        self._clock = clock
        self._host = host
        self._keep = None if keep is None else Path(keep)
        self._share_pages = share_pages
        self._session: Session | None = None
        self._injector: FaultInjector | None = None
        self._server: WebServer | None = None
        self._requests: list[HandledRequest] = []

    # -- start and stop ---------------------------------------------------------------------

    def start(self) -> Self:
        """Return this sandbox, which responds to requests from then on.

        Raises:
            OSError: The host or port is not available.
            ValueError: The file to keep the projects in is not a sandbox's, or is in use.
            RuntimeError: The sandbox is running already.
        """
        if self._store is not None:
            raise RuntimeError("The sandbox is running already.")
        store = Store(lambda: self._clock().astimezone(self._zone), self.dialect, self._keep)
        try:
            listener = socket.create_server((self._host, self._port))
        except OSError:
            store.close()
            raise
        address, port = listener.getsockname()
        if not ip_address(address).is_loopback:
            logger.warning(
                "The sandbox listens on %s: others on the network reach it. %s",
                address,
                "They can open its pages with the key."
                if self._share_pages
                else "Its pages do not open there without share_pages (--share-pages).",
            )
        store.url = f"http://{self._host}:{port}/"
        self._store = store
        self._requests = []
        on_handled = self._requests.append
        self._injector = FaultInjector(create_app(store, on_handled), on_handled)
        self._session = Session.create()
        pages = create_pages(store, self._session, self._share_pages, on_handled)
        self._server = WebServer(_join(self._injector, pages), listener)
        return self

    def stop(self) -> None:
        """Stop listening and close all projects; do nothing if the sandbox is not running."""
        if self._store is None or self._server is None:
            return
        self._server.stop()
        self._store.close()
        self._store = self._session = self._injector = self._server = None

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
        """URL of the API.

        Raises:
            RuntimeError: The sandbox is not running.
        """
        return f"{self._get_store().url}api/"

    @property
    def pages_url(self) -> str:
        """URL of the sandbox's pages, with the key that opens them in a browser.

        Raises:
            RuntimeError: The sandbox is not running.
        """
        # A browser cannot open 0.0.0.0, which stands for all addresses of this machine.
        url = self._get_store().url.replace("//0.0.0.0:", "//127.0.0.1:")
        assert self._session is not None  # noqa: S101
        return f"{url}?key={self._session.key}"

    @property
    def super_token(self) -> str:
        """Token that creates projects.

        Raises:
            RuntimeError: The sandbox is not running.
        """
        return self._get_store().super_token

    @property
    def requests(self) -> tuple[HandledRequest, ...]:
        """Requests that the sandbox responded to since its start, in order."""
        return tuple(self._requests)

    # -- faults -----------------------------------------------------------------------------

    def inject(
        self, fault: Fault, *, content: str | None = None, after: int = 0, times: int | None = None
    ) -> None:
        """Add a fault; with several of them, the last intercepts requests first.

        Args:
            fault: Fault to add; see `redcap_dagster.sandbox.faults`.
            content: Content of the requests that it intercepts, such as ``record``. Defaults to
                all.
            after: How many of these requests pass before the first that it intercepts. Defaults
                to 0.
            times: How many requests it intercepts. Defaults to all until `clear_faults`.

        Raises:
            ValueError: There is no such content, or a number is too small.
            RuntimeError: The sandbox is not running.
        """
        if content is not None and content not in CONTENTS:
            raise ValueError(
                f"content: {content!r} is not a content of REDCap's API that this sandbox has, "
                "such as record."
            )
        if after < 0 or (times is not None and times < 1):
            raise ValueError("after: give 0 or more; times: give 1 or more, or None for always.")
        self._get_injector().inject(fault, content, after, times)

    def clear_faults(self) -> None:
        """Remove all faults, bans included.

        Raises:
            RuntimeError: The sandbox is not running.
        """
        self._get_injector().clear()

    # -- projects ------------------------------------------------------------------------

    def add_project(
        self,
        xml: str | Path | None = None,
        *,
        exports: Mapping[str, Any] | None = None,
        records: Sequence[Mapping[str, object]] = (),
        token: str | None = None,
        rights: Mapping[str, Any] | None = None,
    ) -> str:
        """Return the token of a new project, made of a project XML or of exports.

        Args:
            xml: Project XML file, with or without records. Defaults to None.
            exports: Exports of the API by content (``metadata``, ``formEventMapping``, ...), each
                a list of dicts; ``metadata`` is required. Defaults to None, with ``xml``.
            records: Flat rows as a record export has them, with ``exports``. Survey columns and
                the access group column make a project with surveys and groups. A form status of
                ``0`` means that the form was saved; leave it blank if it was not. Defaults to no
                records.
            token: Token of the project: 32 digits and letters A to F. Defaults to a random one.
            rights: Rights of the token's user, by the names of a user export; see
                `redcap_dagster.sandbox.store.rights.Rights`. Rights that are not named are
                granted, as are all by default.

        Raises:
            ValueError: The arguments do not make a project. The message has no value and no
                record id.
            RuntimeError: The sandbox is not running.

        Example:
            >>> with Sandbox() as sandbox:
            ...     token = sandbox.add_project(
            ...         exports={"metadata": [{"field_name": "id", "form_name": "visit"}]},
            ...         records=[{"id": "1", "visit_complete": "2"}],
            ...         rights={"record_delete": 0},
            ...     )
        """
        store = self._get_store()
        _check_token(token)
        odm, cells = load_project(xml, exports, records)
        return add_loaded_project(store, odm, cells, token, Rights.from_row(rights or {}))

    def add_study(
        self,
        study: MadeUpStudy,
        *,
        token: str | None = None,
        rights: Mapping[str, Any] | None = None,
    ) -> str:
        """Return the token of a new project with the records of a made-up study.

        Args:
            study: The study, as `make_up_study` returns it.
            token: Token of the project, as in `add_project`. Defaults to a random one.
            rights: Rights of the token's user, as in `add_project`. Defaults to all.

        Raises:
            ValueError: The token or a right is invalid.
            RuntimeError: The sandbox is not running.

        Example:
            >>> from redcap_dagster.project import REDCapProject
            >>> from redcap_dagster.sandbox.synthesis import make_up_study
            >>> project = REDCapProject.from_exports(
            ...     metadata=[{"field_name": "id", "form_name": "visit"}])
            >>> with Sandbox() as sandbox:
            ...     token = sandbox.add_study(make_up_study(project, records=20, seed=7))
        """
        store = self._get_store()
        _check_token(token)
        user_rights = Rights.from_row(rights or {})
        return add_loaded_project(store, study.content, study.rows, token, user_rights)

    def _get_injector(self) -> FaultInjector:
        self._get_store()
        assert self._injector is not None  # noqa: S101
        return self._injector


def _check_token(token: str | None) -> None:
    if token is not None and not _TOKEN.fullmatch(token):
        raise ValueError("A token is 32 characters, each a digit or a letter from A to F.")


def _join(api: ASGIApp, pages: ASGIApp) -> ASGIApp:
    """Return an application of both: faults intercept requests to the API only."""

    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        app = api if scope["path"].rstrip("/") == "/api" else pages
        await app(scope, receive, send)

    return respond
