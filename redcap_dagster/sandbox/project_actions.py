"""What people do on REDCap's pages, called from Python: tests do it to a project while it runs."""

from collections.abc import Mapping, Sequence
from typing import Any

from redcap_dagster.sandbox.calls.log import log_deed
from redcap_dagster.sandbox.calls.project_status import ProjectStatus, set_project_status
from redcap_dagster.sandbox.records.editing import delete_record, edit_value
from redcap_dagster.sandbox.records.randomization import add_randomization
from redcap_dagster.sandbox.records.reports import add_report
from redcap_dagster.sandbox.store.rights import Rights
from redcap_dagster.sandbox.store.row_keys import RowKey
from redcap_dagster.sandbox.store.store import Store, StoredProject


class ProjectActions:
    """Changes that people make on REDCap's pages, as methods, which `Sandbox` inherits."""

    def __init__(self) -> None:
        self._store: Store | None = None

    # -- records ----------------------------------------------------------------------------

    def edit(
        self,
        token: str,
        *,
        record: str,
        field: str,
        value: str,
        event: str = "",
        repeat_instrument: str = "",
        repeat_instance: int = 0,
    ) -> None:
        """Change one value, or clear it with a blank one, as on REDCap's pages.

        Args:
            token: Token of the project.
            record: Record, which is created if it does not exist, as is the instance.
            field: Export column, such as ``age``, ``race___1`` (0 or 1) or ``visit_complete``.
            value: Value to store.
            event: Unique event name, if the project is longitudinal. Defaults to a blank.
            repeat_instrument: Repeating instrument, if the field's instrument repeats there.
                Defaults to a blank.
            repeat_instance: Instance of the instrument or the event. Defaults to 0, where nothing
                repeats.

        Raises:
            ValueError: The project does not have this column, or not in this event and instance.
            KeyError: No project has this token.
        """
        row_key = RowKey(record, event, repeat_instrument, repeat_instance)
        edit_value(self._get_store(), self._get_project(token), row_key, field, value)

    def delete_record(self, token: str, record: str) -> None:
        """Delete a record in all arms, as on REDCap's pages.

        Args:
            token: Token of the project.
            record: Record to delete.

        Raises:
            KeyError: There is no such record, or no project has this token.
        """
        delete_record(self._get_store(), self._get_project(token), record)

    def lock_record(self, token: str, record: str) -> None:
        """Lock a record. Only the log shows it: that its values can be changed is a guess.

        Args:
            token: Token of the project.
            record: Record to lock.

        Raises:
            KeyError: No project has this token.
        """
        log_deed(self._get_store(), self._get_project(token), "lock", record)

    def sign_record(self, token: str, record: str) -> None:
        """Sign a record electronically; only the log shows it.

        Args:
            token: Token of the project.
            record: Record to sign.

        Raises:
            KeyError: No project has this token.
        """
        log_deed(self._get_store(), self._get_project(token), "sign", record)

    # -- the project ------------------------------------------------------------------------

    def set_status(self, token: str, status: ProjectStatus) -> None:
        """Change the status of a project.

        Args:
            token: Token of the project.
            status: ``development``, as projects begin; ``production`` or ``draft`` (production in
                draft mode), which refuse changes of the structure; ``analysis``, which refuses
                changes of records too; ``completed``, which refuses all requests.

        Raises:
            ValueError: There is no such status.
            KeyError: No project has this token.

        Example:
            >>> from redcap_dagster.sandbox import Sandbox
            >>> with Sandbox() as sandbox:
            ...     token = sandbox.add_project(
            ...         exports={"metadata": [{"field_name": "id", "form_name": "visit"}]})
            ...     sandbox.set_status(token, "production")
        """
        set_project_status(self._get_store(), self._get_project(token), status)

    # -- users and rights -------------------------------------------------------------------

    def add_user(self, token: str, username: str, rights: Mapping[str, Any] | None = None) -> str:
        """Return the token of a new user of a project.

        Args:
            token: Token of the project.
            username: Name of the user, which the project's log shows.
            rights: Rights of the user, as in `add_project`. Defaults to all.

        Raises:
            ValueError: The project has this user already, or a right is invalid.
            KeyError: No project has this token.
        """
        store, project = self._get_store(), self._get_project(token)
        user_rights = Rights.from_row(rights or {})
        with store.lock:
            if username in store.list_users(project.id):
                raise ValueError(
                    "The project already has a user of this name; get_token returns its token."
                )
            store.save_user(project.id, username, user_rights)
            return store.get_token(project.id, username)

    def get_token(self, token: str, username: str) -> str:
        """Return the token of another user of a project, such as one that was imported.

        Args:
            token: Token of the project.
            username: Name of the user; the user whose token `add_project` returns is ``sandbox``.

        Raises:
            KeyError: The project does not have this user, or no project has this token.
        """
        return self._get_store().get_token(self._get_project(token).id, username)

    # Earlier name.
    token_of = get_token

    def set_rights(self, token: str, rights: Mapping[str, Any]) -> None:
        """Change some rights of the token's user, as an administrator would.

        Args:
            token: Token of the user.
            rights: Rights to change, as in `add_project`; the others stay.

        Raises:
            ValueError: A name is not a right, or a value is invalid.
            KeyError: No project has this token.
        """
        project = self._get_project(token)
        changed = project.rights.with_changes(rights)
        self._get_store().save_user(project.id, project.username, changed)

    # -- reports and randomization ----------------------------------------------------------

    def add_report(self, token: str, fields: Sequence[str], filter_logic: str = "") -> int:
        """Return the ``report_id`` of a new report.

        Args:
            token: Token of the project.
            fields: Fields of the report.
            filter_logic: Logic of the rows to keep, such as ``[age] > 40``. Defaults to all rows.

        Raises:
            ValueError: The project does not have one of the fields.
            KeyError: No project has this token.

        Example:
            >>> from redcap_dagster.sandbox import Sandbox
            >>> with Sandbox() as sandbox:
            ...     token = sandbox.add_project(
            ...         exports={"metadata": [{"field_name": "id", "form_name": "visit"}]})
            ...     sandbox.add_report(token, ["visit_complete"])
            1
        """
        return add_report(self._get_store(), self._get_project(token), fields, filter_logic)

    def add_randomization(
        self,
        token: str,
        target_field: str,
        allocations: Sequence[Mapping[str, object]],
        event: str = "",
    ) -> int:
        """Return the ``randomization_id`` of a new randomization.

        Args:
            token: Token of the project.
            target_field: Field of choices that takes the group of a randomized record.
            allocations: Rows of the allocation table, in order: values of the target field, of
                the fields that stratify, and of ``redcap_randomization_number``, if there is an
                alternative to the target.
            event: Unique name of the event of these fields, if the project is longitudinal.
                Defaults to a blank.

        Raises:
            ValueError: A field cannot be used for it, or a value is not one of its choices.
            KeyError: No project has this token.

        Example:
            >>> from redcap_dagster.sandbox import Sandbox
            >>> with Sandbox() as sandbox:
            ...     token = sandbox.add_project(exports={"metadata": [
            ...         {"field_name": "id", "form_name": "visit"},
            ...         {"field_name": "drug", "form_name": "visit", "field_type": "radio",
            ...          "select_choices_or_calculations": "1, A | 2, B"}]})
            ...     sandbox.add_randomization(token, "drug", [{"drug": 2}, {"drug": 1}])
            1
        """
        project = self._get_project(token)
        return add_randomization(self._get_store(), project, target_field, allocations, event)

    def _get_store(self) -> Store:
        if self._store is None:
            raise RuntimeError(
                "The sandbox is not running: use it in a with statement, or call start."
            )
        return self._store

    def _get_project(self, token: str) -> StoredProject:
        project = self._get_store().find_project(token)
        if project is None:
            raise KeyError("No project of this sandbox has this token.")
        return project
