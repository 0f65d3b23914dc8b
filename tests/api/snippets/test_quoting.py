"""Any value in a snippet comes back the same from the language that reads it."""

import ast
import os
import shutil
import subprocess
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from redcap_dagster.api.snippets import find_method, snippet, write_request
from redcap_dagster.api.snippets.quoting import quote_yaml

TEXTS = st.text(
    st.one_of(
        st.sampled_from("'\"\\$`!%{}[]()<>|&;#@=*?~^\n\r\t äß€😀\u2028\x85\x1b\x7f-n"),
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    ),
    min_size=1,
)
NASTY = ["'", '"', "\\", "\\'", '\\"', "$HOME", "`id`", "$(id)", "a\nb", "a\r\nb", "@file", "<f",
         "!!", "%s", "\\n", "\\u00e4", "äöü", "😀", "{{ env.X }}", "#", "-d", "", " ", "=", "no",
         "1e3", "''' \"\"\"", "x" * 200]  # fmt: skip
EXPORT = find_method("Export Records")


def values_of(text: str) -> dict[str, Any]:
    return {"filterLogic": text, "records": [text, "1"]}


def file_values(text: str) -> dict[str, Any]:
    return {"record": text, "field": "scan", "file": "scan.txt"}


@given(TEXTS)
@example("'\"\\$`\n")
def test_python(text: str) -> None:
    for language, url in (("requests", "https://a/api/"), ("client", "https://a/api/")):
        code = snippet(EXPORT, values_of(text), language, url=url)  # type: ignore[arg-type]
        assert code is not None
        found = [node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant)]
        assert found.count(text) >= 2


@given(TEXTS)
@example("no")
@example("{{ env.HOME }}")
def test_yaml(text: str) -> None:
    assert yaml.safe_load(f"x: [{quote_yaml(text)}]") == {"x": [text]}


@given(st.lists(TEXTS, min_size=1, max_size=8))
@example(NASTY)
@settings(max_examples=25)
def test_shell(texts: Sequence[str]) -> None:
    texts = [text for text in texts if text]
    code = "curl() { cat >/dev/null; printf '%s\\0' \"$@\"; }\n"
    expected: list[str] = []
    for text in texts:
        for title, values in (("Export Records", values_of), ("Import File", file_values)):
            method, chosen = find_method(title), values(text)
            code += snippet(method, chosen, "curl") or ""
            expected += [f"{name}={value}" for name, value in write_request(method, chosen).items()]
    done = subprocess.run(["bash"], input=code.encode(), capture_output=True, check=True)
    words = done.stdout.decode().split("\0")
    options = ("--data", "--data-urlencode", "--form-string")
    pairs = [after for word, after in pairwise(words) if word in options]
    assert [pair for pair in pairs if pair != "token@-"] == expected
    assert not done.stderr


def test_r(tmp_path: Path) -> None:
    """One R reads all examples, in a locale that does not know their letters."""
    if shutil.which("Rscript") is None:
        pytest.skip("needs Rscript")
    texts = [text for text in NASTY if text]

    @given(TEXTS)
    def collect(text: str) -> None:
        texts.append(text)

    collect()
    code = ["library <- print <- cat <- content <- read.csv <- function(...) invisible(NULL)",
            "status_code <- stop_for_status <- library",
            "POST <- function(url, body, encode) {",
            "  body$token <- NULL",
            "  for (text in c(names(body), unlist(body)))",
            '    writeLines(paste(charToRaw(enc2utf8(text)), collapse = ""))',
            "}"]  # fmt: skip
    expected: list[str] = []
    for text in texts:
        code.append(snippet(EXPORT, values_of(text), "httr") or "")
        request = write_request(EXPORT, values_of(text))
        expected += [*request, *request.values()]
    script = tmp_path / "snippets.R"
    script.write_text("\n".join(code))
    command = ["Rscript", "--vanilla", str(script)]
    environment = {"LC_ALL": "C", "PATH": os.environ["PATH"]}
    done = subprocess.run(command, capture_output=True, check=True, env=environment)
    lines = done.stdout.decode().splitlines()
    assert [bytes.fromhex(line).decode() for line in lines] == expected
