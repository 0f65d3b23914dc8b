"""What all tests share."""

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared" / "fixtures"


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """Answers of real servers, kept beside a checkout; absent in a newcomer's clone."""
    if not SHARED.is_dir():
        pytest.skip("needs ../shared/fixtures (answers of real servers), which is not here")
    return SHARED
