"""What REDCap says of a project's structure, as it exports it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from redcap_dagster.project import REDCapProject

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class ProjectStructure:
    """The structure exports of one project, each as REDCap sent it, none with a record in it.

    What the project does not have (arms and events of a classic one, repeating forms) is empty.
    """

    info: dict[str, Any] = field(repr=False)
    metadata: Rows = field(repr=False)
    instruments: Rows = field(repr=False)
    arms: Rows = field(repr=False)
    events: Rows = field(repr=False)
    form_event_mapping: Rows = field(repr=False)
    repeating: Rows = field(repr=False)
    field_names: Rows = field(repr=False)
    version: str

    @property
    def record_id_field(self) -> str:
        """The field that holds the record id: the first of the dictionary, whatever its name."""
        return str(self.metadata[0]["field_name"])

    def project(self, header: Iterable[str] = ()) -> REDCapProject:
        """Build the model of the project.

        Args:
            header: The columns of a record export of everything, with access groups and survey
                fields, which alone tell whether the project has them.

        Raises:
            ValueError: The exports do not fit together.
        """
        return REDCapProject.from_exports(
            metadata=self.metadata,
            instruments=self.instruments,
            info=self.info,
            arms=self.arms,
            events=self.events,
            form_event_mapping=self.form_event_mapping,
            repeating=self.repeating,
            field_names=self.field_names,
            version=self.version,
            header=header,
        )
