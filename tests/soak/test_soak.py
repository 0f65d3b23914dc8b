"""A short soak test: hundreds of exports, each complete, reported as inconsistent, or an error."""

import pytest

from redcap_dagster.api.export import snapshot
from redcap_dagster.api.export.verification import consistency
from tests.soak.run import ROUND, run_soak
from tests.soak.verdict import COMPLETE

SEED = 20240131
EXPORTS = 200


@pytest.mark.slow
def test_each_export_is_a_consistent_snapshot_or_says_why_not() -> None:
    tally = run_soak(SEED, lambda tally: tally.exports < EXPORTS)

    assert tally.exports == EXPORTS
    assert tally.rounds >= EXPORTS / ROUND
    assert not tally.wrong
    assert tally.outcomes[COMPLETE] > EXPORTS / 2


@pytest.mark.slow
def test_a_loss_without_an_error_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The soak can fail: a plan that does not check responses with the census loses records."""

    for module in (snapshot, consistency):
        monkeypatch.setattr(module, "find_missing_records", lambda *_: {})

    tally = run_soak(
        SEED, lambda tally: not tally.wrong and tally.exports < EXPORTS, print_line=lambda _: None
    )

    ((error,),) = tally.wrong.values()
    assert "reported as a consistent snapshot, but equal to none" in str(error)
