"""The life of a query: its state, and the steps that its history keeps."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from redcap_dagster.tables.queries.confirmations import Confirmation


class State(StrEnum):
    """The state of a query; what a run says of a query is one of these, too."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    SOLVED = "solved"
    NOT_JUDGED = "not judged"
    HIDDEN = "hidden from this token"
    DELETED = "record deleted"
    WITHDRAWN = "rule withdrawn"


LISTED: Final = frozenset({State.OPEN, State.NOT_JUDGED, State.HIDDEN})
"""States of the queries in the open list: nobody has mended or confirmed them."""

FOUND: Final = "found"
FOUND_AGAIN: Final = "found again"
CHANGED: Final = "changed"
TOO_LATE: Final = "confirmed too late"
"""Step of a query that was confirmed when it was not in the open list any more."""

_ENDS_CONFIRMATION: Final = frozenset({FOUND_AGAIN, CHANGED, State.SOLVED, State.DELETED})


@dataclass(frozen=True, slots=True)
class Step:
    """One step in the life of a query.

    Attributes:
        what: What happened: ``found``, ``changed``, ``found again``, or the new state.
        state: The state since then.
        at: When the run noticed it, in UTC.
        since: Since when the query is, or was, in the open list.
        digest: Digest of the values that the rule read when it was last certainly wrong.
        who: Who confirmed the query; blank for other steps.
        why: The reason.
    """

    what: str
    state: State
    at: datetime
    since: datetime
    digest: str
    who: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Life:
    """The life of a query so far.

    Attributes:
        salt: Salt of its digests.
        steps: Its steps, the oldest first. Defaults to none: it was never found.
    """

    salt: str
    steps: tuple[Step, ...] = field(default=())

    @property
    def state(self) -> State | None:
        """Its state; None if it was never found."""
        return self.steps[-1].state if self.steps else None

    @property
    def confirmation(self) -> Step | None:
        """The step of the confirmation that holds until the values change; None without one."""
        for step in reversed(self.steps):
            if step.what in _ENDS_CONFIRMATION:
                return None
            if step.what == State.CONFIRMED:
                return step
        return None

    def confirm(self, given: Sequence[Confirmation], at: datetime) -> "Life":
        """Return the life after a data manager confirmed what the open list showed.

        A confirmation counts once: after the values changed, only another one confirms them.
        """
        life = self
        for one in given:
            life = life._confirm_once(one, at)
        return life

    def _confirm_once(self, given: Confirmation, at: datetime) -> "Life":
        if not self.steps:
            return self
        if any((step.who, step.why) == (given.who, given.why) for step in self.steps):
            return self
        if self.state in LISTED or self.state is State.CONFIRMED:
            return self._add(State.CONFIRMED, State.CONFIRMED, at, who=given.who, why=given.why)
        return self._add(TOO_LATE, self.steps[-1].state, at, who=given.who, why=given.why)

    def find_wrong(self, digest: str, at: datetime) -> "Life":
        """Return the life after a rule was certainly violated, by values with a digest."""
        if not self.steps:
            return Life(self.salt, (Step(FOUND, State.OPEN, at, at, digest),))
        last, confirmation = self.steps[-1], self.confirmation
        if confirmation is not None and confirmation.digest == digest:
            if last.state is State.CONFIRMED:
                return self
            who, why = confirmation.who, confirmation.why
            return self._add(State.CONFIRMED, State.CONFIRMED, at, who=who, why=why)
        since = last.since if last.state in LISTED else at
        if last.state in (State.OPEN, State.CONFIRMED):
            if last.state is State.OPEN and last.digest == digest:
                return self
            return self._add(CHANGED, State.OPEN, at, since=since, digest=digest)
        return self._add(FOUND_AGAIN, State.OPEN, at, since=since, digest=digest)

    def miss(self, state: State, at: datetime) -> "Life":
        """Return the life after a run in which the rule was not certainly violated.

        Args:
            state: What the run says: solved, or why nothing can be said.
            at: Time of the run.
        """
        if self.state in (None, state, State.SOLVED, State.DELETED):
            return self
        if self.confirmation is not None and state in (State.NOT_JUDGED, State.HIDDEN):
            return self
        return self._add(state, state, at)

    def _add(
        self,
        what: str,
        state: State,
        at: datetime,
        *,
        since: datetime | None = None,
        digest: str | None = None,
        who: str = "",
        why: str = "",
    ) -> "Life":
        last = self.steps[-1]
        step = Step(what, state, at, since or last.since, digest or last.digest, who, why)
        return Life(self.salt, (*self.steps, step))
