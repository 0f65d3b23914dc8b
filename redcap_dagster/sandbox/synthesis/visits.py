"""Which instruments of a made-up record are saved: its arm, visits and instances."""

from collections.abc import Mapping
from random import Random
from typing import Final

from redcap_dagster.sandbox.store.row_keys import list_row_forms
from redcap_dagster.sandbox.synthesis.expressions import RowKind
from redcap_dagster.sandbox.synthesis.making import Wishes
from redcap_dagster.sandbox.synthesis.plan import StudyPlan
from redcap_dagster.sandbox.synthesis.records import Place

_VISITED_SHARE: Final = 0.85
_SAVED_SHARE: Final = 0.95
_INSTANCES: Final = (1, 1, 2, 2, 2, 3)


def draw_saved_forms(
    plan: StudyPlan, rng: Random, wishes: Wishes
) -> Mapping[Place, frozenset[str]]:
    """Return the saved instruments of each row of a record, in the order of events.

    Args:
        plan: The fields with their logic.
        rng: Source of chance.
        wishes: Values that the record is to have: if any, it has all visits and instruments.
    """
    project = plan.project
    arms = {event.unique_event_name: event.arm_num for event in project.events}
    wished = {arms[event] for _, event, _ in wishes if event in arms}
    arm = rng.choice(sorted(wished or set(arms.values()) or {0}))
    own = [kind for kind in plan.kinds if arms.get(kind.event, 0) == arm]
    first = own[0] if own else RowKind()
    saved: dict[Place, frozenset[str]] = {}
    visited: dict[str, bool] = {}
    for kind in own:
        if kind.event not in visited:
            often = bool(wishes) or rng.random() < _VISITED_SHARE
            visited[kind.event] = often or kind.event == first.event
        if not visited[kind.event]:
            continue
        forms = list_row_forms(project, kind.event, kind.instrument)
        for instance in _draw_instances(plan, rng, kind, bool(wishes)):
            chosen = frozenset(
                form for form in forms if wishes or rng.random() < _SAVED_SHARE
            ) or frozenset(forms[:1])
            saved[kind, instance] = chosen
    return saved


def _draw_instances(plan: StudyPlan, rng: Random, kind: RowKind, wished: bool) -> range:
    repeats = bool(kind.instrument) or kind.event in plan.project.repeating_events
    if not repeats:
        return range(1)
    number = rng.choice(_INSTANCES)
    if kind.instrument and not wished and rng.random() > _VISITED_SHARE:
        number = 0  # an instrument that repeats need not be there
    return range(1, 1 + (max(number, 2) if wished else number))
