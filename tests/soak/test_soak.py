"""A short soak: some hundreds of exports, none of which may be a third thing."""

import pytest

from tests.soak.judgement import WHOLE
from tests.soak.run import soak

SEED = 20240131
EXPORTS = 300


@pytest.mark.slow
def test_each_export_is_the_truth_of_a_moment_or_a_typed_error() -> None:
    tally = soak(SEED, lambda tally: tally.exports < EXPORTS)

    assert tally.exports == EXPORTS
    assert tally.ends[WHOLE] > EXPORTS / 2
