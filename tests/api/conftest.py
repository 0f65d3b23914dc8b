"""A client of a server that answers wrongly, and what must not be heard of it."""

import pickle
import traceback
from collections.abc import Callable, Iterator

import pytest

from redcap_dagster.api import REDCapClient
from redcap_dagster.api.http import retries
from tests.fake_server import CANARY, TOKEN, Server


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that a client would have waited between retries."""
    seconds: list[float] = []
    monkeypatch.setattr(retries, "sleep", lambda wait, _: seconds.append(wait))
    return seconds


@pytest.fixture
def client(server: Server, waits: list[float]) -> REDCapClient:  # noqa: ARG001
    return REDCapClient(
        server.url, TOKEN, connect_timeout=60, read_timeout=60, retries=2, max_cells=None
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@pytest.fixture
def assert_silent(
    caplog: pytest.LogCaptureFixture,
) -> Callable[[BaseException], None]:
    """Check that neither an error nor the log at DEBUG shows token or canary in any way."""
    caplog.set_level("DEBUG")

    def check(error: BaseException) -> None:
        shown = [caplog.text, *traceback.format_exception(error)]
        for one in _chain(error):
            again = pickle.loads(pickle.dumps(one))  # noqa: S301
            assert type(again) is type(one)
            assert str(again) == str(one)
            shown += [str(one), repr(one), repr(one.args), str(pickle.dumps(one)), repr(again)]
            for private in ("server_message", "records"):
                assert not getattr(again, private, None)
        for text in shown:
            assert TOKEN not in text
            assert CANARY not in text

    return check
