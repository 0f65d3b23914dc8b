"""What a shell block names: programs, their subcommands and options, and targets of make."""

import importlib
import importlib.util
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping

import click
from create_dagster.cli import cli as create_dagster
from dagster._cli import cli as dagster
from dagster._daemon.cli import cli as dagster_daemon
from dagster_celery.cli import main as dagster_celery
from dagster_dg_cli.cli import cli as dg
from dagster_webserver.cli import cli as dagster_webserver

from redcap_dagster.component.scaffolder import ScaffoldParams
from redcap_dagster.sandbox.cli import main as redcap_sandbox
from tests.docs.code_blocks import REPOSITORY

SHELL_WORDS = ("cd", "export", "source", "unset")
PROGRAMS: Mapping[str, click.Command] = {
    "create-dagster": create_dagster,
    "dagster": dagster,
    "dagster-celery": dagster_celery,
    "dagster-daemon": dagster_daemon,
    "dagster-webserver": dagster_webserver,
    "dg": dg,
    "redcap-sandbox": redcap_sandbox,
}


def commands(text: str) -> Iterator[list[str]]:
    """Yield the commands of a shell block as words."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.wordchars += ":@{}[],$"
        lexer.commenters = "#"
        command: list[str] = []
        for word in [*lexer, ";"]:
            if set(word) <= set(";&|") and word:
                if command:
                    yield command
                command = []
            elif command or not re.match(r"\w+=", word):  # NAME=VALUE before a command
                command.append(word)


def check_command(words: list[str]) -> None:
    """Check that a program is there, with its subcommands, options or targets."""
    program, *rest = words
    if program in SHELL_WORDS:
        return
    found = (REPOSITORY / program).is_file() if "/" in program else shutil.which(program)
    assert found, f"{program}: it is not there."
    if program == "make":
        targets = re.findall(r"^([\w-]+):", (REPOSITORY / "Makefile").read_text(), re.M)
        assert {word for word in rest if "=" not in word} <= set(targets)
    if program.startswith("python") and rest[:1] == ["-m"]:
        assert importlib.util.find_spec(rest[1]), rest[1]
    if rest[:2] == ["scaffold", "defs"]:
        check_scaffolding(*rest[2:])
    elif program in PROGRAMS:
        check_options(PROGRAMS[program], program, rest)


def check_scaffolding(component: str, name: str, *options: str) -> None:
    """Check the component and the options of ``dg scaffold defs``, which finds them as it runs."""
    module, _, kind = component.rpartition(".")
    assert hasattr(importlib.import_module(module), kind), component
    assert re.fullmatch(r"[a-z]\w*", name), name
    known = {f"--{option.replace('_', '-')}" for option in ScaffoldParams.model_fields}
    assert set(options[::2]) <= known, options


def check_options(command: click.Command, name: str, words: list[str]) -> None:
    """Check the subcommands and options of a program that is made with click."""
    context = click.Context(command, info_name=name)
    waiting = list(words)
    while waiting and waiting[0] != "--":
        word = waiting.pop(0)
        if word.startswith("-"):
            option = word.partition("=")[0]
            found = [each for each in command.params if option in each.opts + each.secondary_opts]
            assert found or option in command.get_help_option_names(context), f"{name}: {word}"
            takes_value = any(
                isinstance(each, click.Option) and not each.is_flag and not each.count
                for each in found
            )
            if takes_value and "=" not in word:
                waiting.pop(0)
        elif isinstance(command, click.Group):
            below = command.get_command(context, word)
            assert below is not None, f"{name}: there is no command {word}."
            name, command = f"{name} {word}", below
            context = click.Context(command, parent=context, info_name=word)
