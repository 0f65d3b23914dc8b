"""A visitor of a sandbox's pages: a browser without a screen."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from requests import Response

from redcap_dagster.sandbox import Sandbox


class Visitor:
    """Who opens pages of a sandbox, with the key or without."""

    def __init__(self, sandbox: Sandbox, *, with_key: bool = True) -> None:
        self.root = sandbox.pages_url.partition("/?")[0]
        self.session = requests.Session()
        if with_key:
            assert self.session.get(sandbox.pages_url, timeout=120).status_code == 200

    def get(self, path: str, **options: Any) -> Response:
        return self.session.get(self.root + path, timeout=120, **options)

    def post(self, path: str, data: dict[str, str], **options: Any) -> Response:
        """Send a form, with the CSRF token of a page unless it has another."""
        return self.session.post(
            self.root + path, {"csrf": self.csrf} | data, timeout=120, **options
        )

    @property
    def csrf(self) -> str:
        found = re.search('name="csrf" value="([^"]+)"', self.get("/new-project").text)
        assert found
        return found[1]


@pytest.fixture
def visitor(sandbox: Sandbox) -> Iterator[Visitor]:
    visitor = Visitor(sandbox)
    yield visitor
    visitor.session.close()


def error_of(response: Response) -> str:
    """Return the sentence of a page that refuses, as a reader sees it."""
    found = re.search('(?:role="alert"|</h1>\n<p)>([^<]+)</p>', response.text)
    return found[1] if found else ""
