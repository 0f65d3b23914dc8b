"""A short soak: some hundreds of exports, none of which may be a third thing."""

import pytest

from tests.soak.run import soak
from tests.soak.verdict import WHOLE, ThirdThingError

SEED = 20240131
EXPORTS = 300


@pytest.mark.slow
def test_each_export_is_the_truth_of_a_moment_or_a_typed_error() -> None:
    tally = soak(SEED, lambda tally: tally.exports < EXPORTS)

    assert tally.exports == EXPORTS
    assert tally.ends[WHOLE] > EXPORTS / 2


@pytest.mark.slow
def test_a_loss_without_a_word_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The soak can fail: a plan that holds no answer against the census loses records."""

    for room in ("snapshot", "settling"):
        monkeypatch.setattr(f"redcap_dagster.api.{room}.missing_records", lambda *_: {})

    with pytest.raises(ThirdThingError, match="of no moment"):
        soak(SEED, lambda tally: tally.exports < EXPORTS, tell=lambda _: None)
