"""The code blocks of the README and of the pages run, so that none is outdated.

What is checked depends on the language of a block, the word after the fence:

- ``python``: the blocks of a page run one after the other, in one namespace, in a folder with
  ``project.xml`` and ``trial.xml``. ``https://redcap.example.edu/api/`` is a sandbox with the
  project of `study.py`; its token is in ``REDCAP_API_TOKEN``. Definitions are loaded, and
  materialized where ``<!-- materialized by the tests -->`` stands before the block. Functions
  ``test_...(redcap_sandbox)`` are called. What a page needs and its readers do not, stands in a
  comment that begins with ``<!-- python``.
- ``pycon``: the examples show what they return, in the same namespace.
- ``r``: R runs the block by itself, in that folder, after the blocks before it. R parses those that
  are left out, too.
- ``yaml``: a component, or some of its attributes, loads; a ``dagster.yaml`` (named in a comment on
  its first line) fits Dagster's schema; any other file is YAML and names itself likewise.
- ``sh``: the programs, subcommands, options and make targets exist.
- ``sql``, ``toml``, ``json``: DuckDB or a parser reads it.
- ``text``: what a program prints, which is not code.

``<!-- not run: REASON -->`` before a block leaves it out. These are few.
"""

import doctest
import inspect
import json
import logging
import sys
import sysconfig
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import dagster as dg
import duckdb
import pytest
import yaml
from dagster._config import validate_config
from dagster._core.instance.config import dagster_instance_config_schema
from dagster.components.definitions import LazyDefinitions
from dagster.components.testing.utils import create_defs_folder_sandbox

from redcap_dagster import REDCapProjectComponent
from redcap_dagster.api import REDCapClient
from redcap_dagster.dagster_private import get_local_state_path
from redcap_dagster.project import from_xml
from redcap_dagster.sandbox import Sandbox
from tests.docs.code_blocks import REPOSITORY, CodeBlock, all_blocks, find_blocks
from tests.docs.rscript import run_r
from tests.docs.shell_commands import check_command, commands
from tests.docs.study import EXPORTS, RECORDS

BLOCKS = all_blocks()
RUN = [block for block in BLOCKS if block.not_run is None]
IN_ORDER = ("python", "pycon", "r")
URL = "https://redcap.example.edu/api/"
TOKEN = "REDCAP_API_TOKEN"
COMPONENT = "redcap_dagster.REDCapProjectComponent"
MOST_NOT_RUN = 10


@pytest.fixture(autouse=True)
def place(redcap: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with all that a block may need, which is the current one."""
    token = redcap.add_project(exports=EXPORTS, records=RECORDS)
    xml = REDCapClient(redcap.url, token).projects.export_xml()
    for name in ("project.xml", "trial.xml"):
        (tmp_path / name).write_text(xml)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv(TOKEN, token)
    monkeypatch.setenv("REDCAP_API_URL", redcap.url)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", sysconfig.get_path("scripts"), prepend=":")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def redcap() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


# -- all of them ----------------------------------------------------------------------------------


def test_every_block_names_a_language_that_is_checked() -> None:
    unknown = [str(block) for block in RUN if block.language not in {*IN_ORDER, *CHECKS}]

    assert unknown == [], f"Fence these blocks, with one of {[*IN_ORDER, *CHECKS]}."


def test_few_blocks_are_left_out_and_each_says_why() -> None:
    left_out = [block for block in BLOCKS if block.not_run is not None]

    assert [str(block) for block in left_out if len(block.not_run or "") < 10] == []
    assert len(left_out) <= MOST_NOT_RUN


def test_blocks_are_found_wherever_they_stand() -> None:
    page = (
        "Text\n\n```python\na = 1\n```\n\n- In a list:\n\n    ```sh\n    make demo\n    ```\n\n"
        "Indented:\n\n    make ui\n\n"
        "<!-- not run: needs a cluster -->\n\n```sh\nkubectl get pods\n```\n\n"
        "!!! note\n\n    ~~~yaml title='a'\n    a: 1\n    ~~~\n\n"
        "<!-- python\nb = 2\n-->\n\n<!-- materialized by the tests -->\n```python\nc = 3\n```\n"
        "<!-- not run: of another block -->\n\nText\n\n```sh\nmake test\n```\n"
    )

    assert list(find_blocks(page, "page.md")) == [
        CodeBlock("page.md", 3, "python", "a = 1\n"),
        CodeBlock("page.md", 9, "sh", "make demo\n"),
        CodeBlock("page.md", 15, "", "make ui\n"),
        CodeBlock("page.md", 19, "sh", "kubectl get pods\n", "needs a cluster"),
        CodeBlock("page.md", 25, "yaml", "a: 1\n"),
        CodeBlock("page.md", 30, "python", "b = 2", hidden=True),
        CodeBlock("page.md", 34, "python", "c = 3\n", materialize=True),
        CodeBlock("page.md", 41, "sh", "make test\n"),
    ]


# -- python and R ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "page", sorted({block.page for block in RUN if block.language in IN_ORDER})
)
def test_python_and_r_run(page: str, redcap: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("a_page")  # Dagster and dataclasses look their module up
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for block in RUN:
        if block.page == page and block.language == "pycon":
            run_examples(block, module)
        elif block.page == page and block.language == "python":
            run(block, module, redcap)
        elif block.page == page and block.language == "r":
            run_r(block.text)


def test_r_parses_what_it_cannot_run() -> None:
    left_out = [b.text for b in BLOCKS if b.language == "r" and b.not_run is not None]

    assert left_out
    run_r("invisible(lapply(commandArgs(TRUE), function(text) parse(text = text)))", *left_out)


def run_examples(block: CodeBlock, module: ModuleType) -> None:
    """Run a block with prompts, which shows what is returned."""
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    test = parser.get_doctest(block.text, vars(module), str(block), block.page, block.line)
    assert test.examples
    assert runner.run(test, clear_globs=False).failed == 0


def run(block: CodeBlock, module: ModuleType, redcap: Sandbox) -> None:
    """Run a block, with the names of those before it; then load and call what it defines."""
    before = dict(vars(module))
    # In its line, so that an error names the place in the page.
    source = "\n" * block.line + block.text.replace(URL, redcap.url)
    exec(compile(source, REPOSITORY / block.page, "exec"), vars(module))  # noqa: S102
    new = {name: value for name, value in vars(module).items() if before.get(name) is not value}
    for name, value in new.items():
        if isinstance(value, (dg.Definitions, LazyDefinitions)):
            definitions = load(value)
            dg.Definitions.validate_loadable(definitions)
            assert definitions.resolve_all_asset_specs(), block
            if block.materialize:
                materialize(definitions)
        elif name.startswith("test_") and callable(value):
            assert list(inspect.signature(value).parameters) == ["redcap_sandbox"]
            with Sandbox() as sandbox:
                value(sandbox)


def load(definitions: dg.Definitions | LazyDefinitions[Any]) -> dg.Definitions:
    """Return definitions, also those of a function with ``@dg.definitions``."""
    if isinstance(definitions, dg.Definitions):
        return definitions
    loaded = definitions.load_fn()
    assert isinstance(loaded, dg.Definitions)
    return loaded


def materialize(definitions: dg.Definitions) -> None:
    """Materialize all assets in one run, with their checks."""
    with dg.DagsterInstance.ephemeral() as instance:
        job = definitions.resolve_implicit_global_asset_job_def()
        assert job.execute_in_process(instance=instance).success


def test_materialized_blocks_are_definitions() -> None:
    marked = [block for block in BLOCKS if block.materialize]

    assert any(block.page == "README.md" for block in marked)
    assert [block for block in marked if "definitions" not in block.text.lower()] == []


# -- other languages ------------------------------------------------------------------------------


def check_yaml(block: CodeBlock) -> None:
    given = yaml.safe_load(block.text)
    title = block.text.partition("\n")[0]
    assert isinstance(given, dict), f"{block}: it holds no options."
    if given.get("type") == COMPONENT:
        load_component(given)
    elif given.keys() <= REDCapProjectComponent.model().model_fields.keys():
        some = {"name": "trial", "url": URL, "token": f"{{{{ env.{TOKEN} }}}}"}
        load_component({"type": COMPONENT, "attributes": some | given})
    elif title == "# dagster.yaml":
        checked = validate_config(dagster_instance_config_schema(), given)
        assert checked.success, checked.errors
    else:
        assert title.startswith("# "), f"{block}: its first line is a comment that names the file."
        assert "type" not in given, f"{block}: there is no component {given['type']}."


def load_component(contents: dict[str, Any]) -> None:
    """Load a component in a Dagster project of its own, with the structure of the study."""
    structure = from_xml(Path("project.xml")).to_json()
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(
            component_cls=REDCapProjectComponent, defs_yaml_contents=contents
        )
        with sandbox.build_component_tree():
            key = f"REDCapProjectComponent[{contents['attributes']['name']}]"
            state = get_local_state_path(key, sandbox.project_root)
        state.write_text(structure)
        with sandbox.load_component_and_build_defs(defs_path=path) as (_, definitions):
            assert definitions.resolve_all_asset_specs()


def check_sh(block: CodeBlock) -> None:
    for words in commands(block.text):
        check_command(words)


CHECKS: Mapping[str, Callable[[CodeBlock], Any]] = {
    "yaml": check_yaml,
    "sh": check_sh,
    "sql": lambda block: duckdb.connect().extract_statements(block.text),
    "toml": lambda block: tomllib.loads(block.text),
    "json": lambda block: json.loads(block.text),
    "text": lambda _: None,
}


@pytest.mark.parametrize("block", [b for b in RUN if b.language in CHECKS], ids=str)
def test_others_are_what_they_say(block: CodeBlock, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "redcap_dagster"):
        CHECKS[block.language](block)
    assert [entry for entry in caplog.messages if entry.startswith("REDCap project")] == []


@pytest.mark.parametrize(
    "text",
    [
        "no-such-program",
        "make no-such-target",
        "cd x && make demo nowhere",
        "dagster asset materialise",
        "dagster asset materialize --selection x",
        "redcap-sandbox serve project.xml --ports 1",
        "dg scaffold defs redcap_dagster.NoSuchComponent trial",
        "dg scaffold defs redcap_dagster.REDCapProjectComponent trial --uri x",
        "python -m no_such_module",
        "dg utils refresh",
    ],
)
def test_what_does_not_exist_is_noticed(text: str) -> None:
    with pytest.raises(AssertionError):
        check_sh(CodeBlock("page.md", 1, "sh", text))


@pytest.mark.parametrize(
    "text",
    [
        "rules: {missing_values: []}",
        "cleaning: {missing_value: []}",
        "# dagster.yaml\nconcurrencies: {}",
        "type: redcap_dagster.NoSuchComponent",
        "- a list",
    ],
)
def test_yaml_that_says_nothing_is_noticed(text: str) -> None:
    with pytest.raises(Exception, match=r"\w"):  # whatever Dagster raises
        check_yaml(CodeBlock("page.md", 1, "yaml", text))
