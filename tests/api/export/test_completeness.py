"""Records and events that an export lacks are noticed."""

from collections.abc import Callable

import pyarrow as pa
import pytest

from redcap_dagster.api import IncompleteExportError, REDCapClient
from tests.fake_server import Reply, Server

Silent = Callable[[BaseException], None]


# -- completeness ---------------------------------------------------------------------------------

ARMS = "record_id,redcap_event_name\n7,visit_arm_1\n7,visit_arm_2\n7,late_arm_2\n8,visit_arm_1\n"


def rows_of(*places: tuple[str, str]) -> pa.Table:
    return pa.Table.from_pylist(
        [{"record_id": record, "redcap_event_name": event} for record, event in places]
    )


def test_one_of_two_subjects_with_the_same_id_is_missed(
    server: Server, client: REDCapClient, assert_silent: Silent
) -> None:
    server.say("record", Reply(ARMS.encode()))
    census = client.export_census()
    export = rows_of(("7", "visit_arm_1"), ("8", "visit_arm_1"))

    with pytest.raises(IncompleteExportError) as caught:
        client.check_complete(export, census)
    assert caught.value.missing == 2
    assert_silent(caught.value)
    with pytest.raises(IncompleteExportError) as caught:
        client.check_complete(export, census, ["visit_arm_1", "visit_arm_2"])
    assert caught.value.missing == 1


def test_events_of_other_forms_are_not_demanded(server: Server, client: REDCapClient) -> None:
    server.say("record", Reply(ARMS.encode()))
    census = client.export_census()

    client.check_complete(
        rows_of(("7", "visit_arm_1"), ("8", "visit_arm_1")), census, ["visit_arm_1"]
    )
    client.check_complete(rows_of(("7", "late_arm_2")), census, ["late_arm_2"])
    with pytest.raises(IncompleteExportError):
        client.check_complete(rows_of(("8", "visit_arm_1")), census, ["visit_arm_1"])
