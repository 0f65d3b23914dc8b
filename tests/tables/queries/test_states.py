"""Runs over a study that changes: each query's state and history are exact, and no more is said."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pyarrow as pa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from redcap_dagster.partitions import assign_buckets
from redcap_dagster.project import REDCapProject
from redcap_dagster.tables.quality import RuleFindings
from redcap_dagster.tables.queries import (
    Confirmation,
    Confirmations,
    JudgedForm,
    Judgment,
    QueryTables,
    build_query_id,
    update_queries,
)
from tests.dictionary import field as row

PROJECT = REDCapProject.from_exports(
    metadata=[row("id", "base"), row("x", "base"), row("y", "base"), row("z", "lab")],
    repeating=[{"form_name": "lab"}],
    info={"project_id": 7},
)
FIELDS = {"base": ("x", "y"), "lab": ("z",)}
RULES = {
    "x_good": ("base", "x"),
    "y_good": ("base", "y"),
    "z_good": ("lab", "z"),
    "lab": ("lab", ""),
}
READ = {"x_good": ("x",), "y_good": ("x", "y"), "z_good": ("z",), "lab": ("z",)}
RECORDS = ("1", "2", "3")
SERVER = "redcap.example.edu/api"

Key = tuple[str, int | None]


@dataclass
class Expected:
    """What a reader who sees every run would say of one query."""

    state: str
    values: Sequence[str | None]
    confirmed: Sequence[str | None] | None = None
    steps: list[str] = field(default_factory=list)

    def go(self, what: str, state: str) -> None:
        self.steps.append(what)
        self.state = state


def is_wrong(name: str, values: dict[str, str | None]) -> bool:
    watched = RULES[name][1] or "z"
    return (values[watched] or "").startswith("bad")


def id_of(name: str, key: Key) -> str:
    return build_query_id(SERVER, 7, name, (key[0], "", key[1]), RULES[name][1] or RULES[name][0])


class StudyOverTime(RuleBasedStateMachine):
    """A study, the tables that are stored of it, the queries, and what they should be."""

    @initialize(buckets=st.sampled_from([1, 2]))
    def start(self, buckets: int) -> None:
        self.rows: dict[str, dict[Key, dict[str, str | None]]] = {"base": {}, "lab": {}}
        self.stored: dict[str, dict[Key, dict[str, str | None]]] = {}
        self.stored_hidden: dict[str, set[str]] = {}
        self.hidden: set[str] = set()
        self.hidden_records: set[str] = set()
        self.in_force = set(RULES)
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.buckets = buckets
        self.histories: dict[str, pa.Table] = {}
        self.expected: dict[str, Expected] = {}
        self.confirmations: dict[str, Confirmation] = {}
        self.applied: set[tuple[str, str]] = set()
        self.last: dict[str, QueryTables] = {}
        for record in RECORDS:
            self.rows["base"][record, None] = {"x": "ok", "y": "bad1"}
            self.rows["lab"][record, 1] = {"z": "ok"}

    # -- what people do ---------------------------------------------------------------------------

    @rule(
        record=st.sampled_from(RECORDS),
        name=st.sampled_from(["x", "y", "z"]),
        value=st.sampled_from(["ok", "ok2", "bad1", "bad2", None]),
        instance=st.sampled_from([1, 2]),
    )
    def edit(self, record: str, name: str, value: str | None, instance: int) -> None:
        form, key = ("lab", (record, instance)) if name == "z" else ("base", (record, None))
        blank: dict[str, str | None] = dict.fromkeys(FIELDS[form])
        self.rows[form].setdefault(key, blank)[name] = value
        self.rows["base"].setdefault((record, None), {"x": None, "y": None})

    @rule(record=st.sampled_from(RECORDS))
    def delete_record(self, record: str) -> None:
        for form in self.rows.values():
            for key in [key for key in form if key[0] == record]:
                del form[key]

    @rule(record=st.sampled_from(RECORDS), instance=st.sampled_from([1, 2]))
    def delete_instance(self, record: str, instance: int) -> None:
        self.rows["lab"].pop((record, instance), None)

    @rule(hidden=st.sets(st.sampled_from(["x", "y", "z"]), max_size=2))
    def change_rights(self, hidden: set[str]) -> None:
        self.hidden = hidden

    @rule(records=st.sets(st.sampled_from(RECORDS), max_size=2))
    def change_token(self, records: set[str]) -> None:
        self.hidden_records = records

    @rule(name=st.sampled_from(sorted(RULES)))
    def switch_rule(self, name: str) -> None:
        self.in_force ^= {name}

    @rule(data=st.data())
    def confirm(self, data: st.DataObject) -> None:
        listed = [one for each in self.last.values() for one in each.open["query_id"].to_pylist()]
        if listed:
            query_id = data.draw(st.sampled_from(sorted(listed)))
            why = data.draw(st.sampled_from(["seen", "seen again"]))
            self.confirmations[query_id] = Confirmation(query_id, "Ada", why)

    # -- a run ------------------------------------------------------------------------------------

    @rule(
        exported=st.sampled_from([("base", "lab"), ("base", "lab"), ("base",), ("lab",), ()]),
        failing=st.sampled_from([None, None, None, "base", "lab"]),
        data=st.data(),
    )
    def run(self, exported: tuple[str, ...], failing: str | None, data: st.DataObject) -> None:
        self.now += timedelta(days=1)
        for form in exported:
            self.stored[form] = {
                key: {name: None if name in self.hidden else text for name, text in values.items()}
                for key, values in self.rows[form].items()
                if key[0] not in self.hidden_records
            }
            self.stored_hidden[form] = self.hidden & set(FIELDS[form])
        keys = sorted({self.bucket_of(record) for record in RECORDS})
        chosen = data.draw(st.sampled_from([keys, [keys[0]], [keys[-1]]]))
        listed = None
        if exported:
            seen = {key[0] for key in self.rows["base"]} - self.hidden_records
            listed = {record for record in seen if self.bucket_of(record) in chosen}
        judged = {form for form in self.stored if form != failing}
        histories = [self.histories[key] for key in chosen if key in self.histories]
        forms = {form: self.judge(form, chosen) for form in judged}
        tables = update_queries(
            Judgment(
                PROJECT,
                SERVER,
                self.now,
                forms,
                frozenset(self.in_force),
                listed=listed,
                sees_all_records=not self.hidden_records,
            ),
            pa.concat_tables(histories) if histories else None,
            Confirmations(tuple(self.confirmations.values())),
        )
        self.store(tables, chosen)
        self.expect(forms, listed, chosen)
        for name in self.in_force & {one for one, (form, _) in RULES.items() if form in judged}:
            (found,) = (each for each in forms[RULES[name][0]].findings if each.rule == name)
            ids = forms[RULES[name][0]].records["id"].to_pylist()
            wrong = [
                one
                for one, bad in zip(ids, found.wrong.to_pylist(), strict=True)
                if bad and (listed is None or one in listed)
            ]
            states = [
                one.state for key, one in self.of_rule(name) if self.bucket_of(key[0]) in chosen
            ]
            n_open = states.count("open")  # a confirmed one stays so while it cannot be judged
            assert n_open <= len(wrong) <= n_open + states.count("confirmed")

    def bucket_of(self, record: str) -> str:
        (bucket,) = assign_buckets(pa.chunked_array([[record]]), self.buckets).to_pylist()
        return str(bucket)

    def of_rule(self, name: str) -> list[tuple[Key, Expected]]:
        keys = [*((record, None) for record in RECORDS), *((r, n) for r in RECORDS for n in (1, 2))]
        return [
            (key, self.expected[one]) for key in keys if (one := id_of(name, key)) in self.expected
        ]

    def judge(self, form: str, chosen: Sequence[str]) -> JudgedForm:
        kept = [(k, v) for k, v in self.stored[form].items() if self.bucket_of(k[0]) in chosen]
        kinds = {"id": pa.string(), "redcap_repeat_instrument": pa.string()}
        records = pa.table(
            {
                "id": pa.array([key[0] for key, _ in kept], kinds["id"]),
                "redcap_repeat_instance": pa.array(
                    [None if key[1] is None else str(key[1]) for key, _ in kept], pa.string()
                ),
                **{
                    name: pa.array([values[name] for _, values in kept], pa.string())
                    for name in FIELDS[form]
                },
            }
        )
        findings = []
        for name, (own, watched) in RULES.items():
            if own != form:
                continue
            certain = not (set(READ[name]) & self.stored_hidden[form])
            wrong = [certain and is_wrong(name, values) for _, values in kept]
            findings.append(
                RuleFindings(
                    rule=name,
                    letter="",
                    instrument=form,
                    field=watched,
                    wrong=pa.array(wrong, pa.bool_()),
                    certain=pa.array([certain] * len(kept), pa.bool_()),
                    read=records.select(READ[name]),
                    text="The value is bad.",
                )
            )
        return JudgedForm(form, records, findings, hidden=self.stored_hidden[form])

    def store(self, tables: QueryTables, chosen: Sequence[str]) -> None:
        for bucket in chosen:
            parts = []
            for table in (tables.open, tables.history):
                inside = [self.bucket_of(one) == bucket for one in table["record"].to_pylist()]
                parts.append(table.filter(pa.array(inside, pa.bool_())))
            before = self.histories.get(bucket)
            if before is not None:  # a history only grows
                assert set(map(str, before.to_pylist())) <= set(map(str, parts[1].to_pylist()))
            self.last[bucket] = QueryTables(*parts)
            self.histories[bucket] = parts[1]

    # -- what a reader would say ------------------------------------------------------------------

    def expect(
        self, forms: dict[str, JudgedForm], listed: set[str] | None, chosen: Sequence[str]
    ) -> None:
        for name, (form, _) in RULES.items():
            instances: Sequence[int | None] = (None,) if form == "base" else (1, 2)
            for key in [(record, instance) for record in RECORDS for instance in instances]:
                if self.bucket_of(key[0]) not in chosen:
                    continue
                query_id = id_of(name, key)
                known = self.expected.get(query_id)
                if known is not None:
                    self.expect_confirmation(query_id, known)
                said = self.say(name, key, forms, listed)
                if said == "open":
                    values = [self.stored[form][key][one] for one in READ[name]]
                    self.expect_wrong(query_id, known, values)
                elif known is not None:
                    self.expect_miss(known, said)

    def say(
        self, name: str, key: Key, forms: dict[str, JudgedForm], listed: set[str] | None
    ) -> str:
        form = RULES[name][0]
        if name not in self.in_force:
            return "rule withdrawn"
        if listed is not None and key[0] not in listed:
            return "hidden from this token" if self.hidden_records else "record deleted"
        if form not in forms:
            return "not judged"
        values = self.stored[form].get(key)
        if values is None:
            if self.stored_hidden[form]:
                return "hidden from this token"
            return "not judged" if listed is None else "record deleted"
        if self.stored_hidden[form] & set(READ[name]):
            return "hidden from this token"
        return "open" if is_wrong(name, values) else "solved"

    def expect_confirmation(self, query_id: str, known: Expected) -> None:
        given = self.confirmations.get(query_id)
        if given is None or (query_id, given.why) in self.applied:
            return
        self.applied.add((query_id, given.why))
        if known.state in ("solved", "record deleted", "rule withdrawn"):
            known.steps.append("confirmed too late")
        else:
            known.go("confirmed", "confirmed")
            known.confirmed = known.values

    def expect_wrong(
        self, query_id: str, known: Expected | None, values: Sequence[str | None]
    ) -> None:
        if known is None:
            self.expected[query_id] = Expected("open", values, steps=["found"])
            self.expect_confirmation(query_id, self.expected[query_id])
            return
        same = known.values == values
        known.values = values
        if known.confirmed == values:
            if known.state != "confirmed":
                known.go("confirmed", "confirmed")
        elif known.state in ("open", "confirmed"):
            if not same:
                known.go("changed", "open")
            known.confirmed = None
        else:
            known.go("found again", "open")
            known.confirmed = None

    def expect_miss(self, known: Expected, said: str) -> None:
        if known.state in ("solved", "record deleted", said):
            return
        if known.confirmed is not None and said in ("not judged", "hidden from this token"):
            return
        known.go(said, said)
        if said in ("solved", "record deleted"):
            known.confirmed = None

    @invariant()
    def states_and_histories_are_exact(self) -> None:
        if not hasattr(self, "last"):
            return
        steps: dict[str, list[dict[str, str]]] = {}
        for history in self.histories.values():
            for one in sorted(history.to_pylist(), key=lambda each: each["step"]):
                steps.setdefault(one["query_id"], []).append(one)
        assert {one: [each["what"] for each in life] for one, life in steps.items()} == {
            one: expected.steps for one, expected in self.expected.items()
        }
        assert {one: life[-1]["state"] for one, life in steps.items()} == {
            one: expected.state for one, expected in self.expected.items()
        }
        listed = {"open", "not judged", "hidden from this token"}
        shown = [each for tables in self.last.values() for each in tables.open.to_pylist()]
        assert {each["query_id"]: each["state"] for each in shown} == {
            one: expected.state
            for one, expected in self.expected.items()
            if expected.state in listed
        }


StudyOverTime.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestStudyOverTime = StudyOverTime.TestCase
