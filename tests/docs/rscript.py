"""R, where it is installed."""

import os
import shutil
import subprocess

import pytest


def run_r(code: str, *arguments: str, **variables: str) -> str:
    """Return what R prints when it runs some code; skip the test where there is no R.

    Args:
        code: The code.
        arguments: What ``commandArgs(TRUE)`` returns to it.
        variables: Environment variables to set.
    """
    if not shutil.which("Rscript"):
        pytest.skip("needs Rscript (apt-get install r-base-core), which is not here")
    done = subprocess.run(
        ["Rscript", "--vanilla", "-e", code, *arguments],
        env={**os.environ, "LC_ALL": "C.UTF-8", **variables},
        text=True,
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
