"""A project of a sandbox that another user changes, and its snapshot after each change."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import pyarrow as pa

from redcap_dagster.api import REDCapClient
from redcap_dagster.execution.record_source import observe_groups_and_surveys
from redcap_dagster.project import REDCapProject
from redcap_dagster.sandbox import Sandbox
from redcap_dagster.sandbox.calls.call import Call
from redcap_dagster.sandbox.http.handlers import handle_request
from redcap_dagster.sandbox.protocol.parameters import Parameters
from redcap_dagster.sandbox.records.export import build_flat_table
from redcap_dagster.tables import split_by_instrument
from tests.dictionary import field
from tests.soak.clock import Clock

Tables = Mapping[str, pa.Table]

CANARY = "Xanthippe"
"""Part of every record id and of many texts, which no error may contain."""

TEXTS = [
    "",
    "7",
    "1e5",
    "NA",
    'said "no"',
    '\\"',
    'C:\\"x", y',
    "\\",
    "a,b;c",
    "two\nlines",
    "\r\n",
    "é\u202e🙂",
    f"{CANARY} ",
]
MOST_RECORDS = 40


def column(name: str, form: str, kind: str = "text", **more: str) -> dict[str, str]:
    return field(name, form, type=kind) | more


METADATA = [
    column("record_id", "visit"),
    column("note", "visit", "notes"),
    column("sex", "visit", "radio", select_choices_or_calculations="1, F | 2, M"),
    column("race", "visit", "checkbox", select_choices_or_calculations="1, A | 2, B"),
    column("dose", "drug"),
    column("unit", "drug"),
    column("result", "lab"),
    column("comment", "lab", "notes"),
]
EVENTS = ("first_arm_1", "then_arm_1", "first_arm_2")
CLASSIC = {"metadata": METADATA, "repeatingFormsEvents": [{"form_name": "drug"}]}
FIRST_REPEATS = {
    "metadata": METADATA,
    "repeatingFormsEvents": [{"form_name": "visit"}, {"form_name": "drug"}],
}
LONGITUDINAL = {
    "metadata": METADATA,
    "arm": [{"arm_num": number, "name": f"Arm {number}"} for number in (1, 2)],
    "event": [
        {"event_name": name.partition("_")[0].title(), "arm_num": int(name[-1])}
        | {"unique_event_name": name}
        for name in EVENTS
    ],
    "formEventMapping": [
        {"arm_num": int(event[-1]), "unique_event_name": event, "form": form}
        for event, forms in zip(EVENTS, ("visit lab", "drug lab", "visit drug"), strict=True)
        for form in forms.split()
    ],
    "repeatingFormsEvents": [
        {"event_name": event, "form_name": "drug"} for event in ("then_arm_1", "first_arm_2")
    ],
}


SHAPES: Mapping[str, Mapping[str, Any]] = {
    "classic": CLASSIC,
    "longitudinal": LONGITUDINAL,
    "first form repeats": FIRST_REPEATS,
}


@dataclass(repr=False)
class Study:
    """A project whose records another user changes, and its snapshots.

    Attributes:
        sandbox: Sandbox that has the project.
        random: Source of all random choices.
        kind: Key of its structure in `SHAPES`.
        clock: Time of client and server.
        token: Token of the user who exports.
        history: Correct export of this user after each change; None if it would be refused.
        failed_changes: Errors of changes, none of which should fail.
    """

    sandbox: Sandbox
    random: Random
    kind: str
    clock: Clock
    token: str = ""
    history: list[pa.Table | None] = dataclasses.field(default_factory=list)
    failed_changes: list[Exception] = dataclasses.field(default_factory=list)
    _others: str = ""
    _number: int = 0
    _limited: bool = False

    def __post_init__(self) -> None:
        row = self._make_row("drug", "1")[0] | {"redcap_data_access_group": "north"}
        self.token = self.sandbox.add_project(exports=SHAPES[self.kind], records=[row])
        # The no-break space is one byte in some logs, which is not UTF-8.
        self._others = self.sandbox.add_user(self.token, "the\u00a0others")
        for _ in range(MOST_RECORDS // 2):
            self._add()
        self._record_snapshot()
        client = REDCapClient(self.sandbox.url, self.token)
        self.structure = client.export_structure()
        self.project = client.export_project()

    @property
    def longitudinal(self) -> bool:
        return self.kind == "longitudinal"

    # -- snapshots ----------------------------------------------------------------------------

    def make_tables(self, rows: pa.Table) -> Tables:
        """Return the tables of an export, made as the op makes them."""
        project = self.observe_project(rows)
        return split_by_instrument(rows, project, blank_status=project.honors_blank_status)

    def observe_project(self, rows: pa.Table) -> REDCapProject:
        return observe_groups_and_surveys(self.project, rows, self.project)

    def _record_snapshot(self) -> None:
        """Append the current snapshot to the history, without an entry in REDCap's log."""
        store = self.sandbox._get_store()
        parameters = {
            "content": "record",
            "format": "csv",
            "exportSurveyFields": "true",
        }
        project = self.sandbox._get_project(self.token)
        if project.rights.data_access_groups or store.dialect.access_groups == "exported":
            parameters["exportDataAccessGroups"] = "true"
        if project.structure.honors_blank_status:
            parameters["exportBlankForGrayFormStatus"] = "true"
        if not project.rights.api_export:
            self.history.append(None)
            return
        table = build_flat_table(Call(store, project, Parameters.from_pairs(parameters.items())))
        columns = table.columns or ("record_id",)
        cells = zip(*table.rows, strict=True) if table.rows else ([] for _ in columns)
        texts = [[str(cell) or None for cell in column] for column in cells]
        arrays = [pa.array(column, pa.string()) for column in texts]
        self.history.append(pa.Table.from_arrays(arrays, names=list(columns)))

    # -- changes ------------------------------------------------------------------------------

    def change(self) -> None:
        """Make a random change, and record the snapshot before any other request is handled."""
        with self.sandbox._get_store().lock:
            try:
                self.random.choice(
                    [
                        self._add,
                        self._edit,
                        self._edit,
                        self._group,
                        self._delete,
                        self._rename,
                        self._sign,
                    ]
                )()
            except Exception as error:  # noqa: BLE001 the fault hides the error
                self.failed_changes.append(error)
            self._record_snapshot()

    def take_rights(self, **rights: Any) -> None:
        """Remove rights of the user who exports."""
        self._limited = True
        self._set_rights(rights)

    def _set_rights(self, rights: Mapping[str, Any]) -> None:
        with self.sandbox._get_store().lock:
            self.sandbox.set_rights(self.token, rights)
            self._record_snapshot()

    def give_rights_back(self) -> None:
        """Give the user who exports all rights again."""
        if self._limited:
            self._limited = False
            all_rights = {"api_export": 1, "data_access_group": "", "forms_export": {}}
            self._set_rights(all_rights | {"logging": 1, "data_access_groups": 1})

    def _add(self) -> None:
        if len(self.records()) >= MOST_RECORDS:
            self._delete()
            return
        self._number += 1
        # Some new records come first, some last, and some in between.
        record = f"{self.random.choice(['', '5-'])}{self._number}-{CANARY}"
        forms = self.random.sample(["visit", "drug", "lab"], self.random.randint(1, 3))
        for form in forms:
            self._import([self._make_row(form, record)[0]])

    def _edit(self) -> None:
        if records := self.records():
            form = self.random.choice(["visit", "drug", "lab"])
            self._import(self._make_row(form, self.random.choice(records)))

    def _group(self) -> None:
        if records := self.records():
            self.sandbox.edit(
                self.token,
                record=self.random.choice(records),
                event=EVENTS[0] if self.longitudinal else "",
                field="redcap_data_access_group",
                value=self.random.choice(["north", ""]),
            )

    def _delete(self) -> None:
        if records := self.records():
            self._handle_as_other_user(
                **{"action": "delete", "records[0]": self.random.choice(records)}
            )

    def _rename(self) -> None:
        if records := self.records():
            self._number += 1
            new = f"{self.random.choice(['', 'z'])}{self._number}-{CANARY}"
            self._handle_as_other_user(
                action="rename", record=self.random.choice(records), new_record_name=new
            )

    def _sign(self) -> None:
        if records := self.records():
            record = self.random.choice(records)
            self.random.choice([self.sandbox.lock_record, self.sandbox.sign_record])(
                self.token, record
            )
            self._handle_as_other_user(content="user", data='[{"username": "ann"}]')

    def _make_row(self, form: str, record: str) -> list[dict[str, object]]:
        text = self.random.choice
        values: dict[str, object] = {"record_id": record, f"{form}_complete": text("012")}
        values |= {
            "visit": {"note": text(TEXTS), "sex": text("12"), "race___1": text("01")},
            "drug": {"dose": text(TEXTS), "unit": text(TEXTS)},
            "lab": {"result": text(TEXTS), "comment": text(TEXTS)},
        }[form]
        if self.longitudinal:
            where = {"visit": [EVENTS[0], EVENTS[2]], "drug": EVENTS[1:], "lab": EVENTS[:2]}
            values["redcap_event_name"] = self.random.choice(where[form])
        if form in {row["form_name"] for row in SHAPES[self.kind]["repeatingFormsEvents"]}:
            values["redcap_repeat_instrument"] = form
            values["redcap_repeat_instance"] = self.random.randint(1, 3)
        return [values]

    def _import(self, rows: list[dict[str, object]]) -> None:
        self._handle_as_other_user(data=json.dumps(rows), overwriteBehavior="overwrite")

    def _handle_as_other_user(self, **parameters: str) -> None:
        """Handle a request of another user, which no fault intercepts."""
        parameters = {"token": self._others, "content": "record", "format": "json", **parameters}
        handle_request(self.sandbox._get_store(), Parameters.from_pairs(parameters.items()), {})

    def records(self) -> list[str]:
        """Return the ids of all records."""
        store, project = self.sandbox._get_store(), self.sandbox._get_project(self.token)
        return sorted({row_key.record for _, row_key in store.find_rows(project, (), ())})
