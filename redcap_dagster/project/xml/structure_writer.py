"""The structure of a project -> project XML; see `redcap_dagster.project.xml.writer`."""

import re
from collections.abc import Iterable, Iterator, Mapping
from xml.etree.ElementTree import Element, SubElement

from redcap_dagster.project.choices import Choice
from redcap_dagster.project.columns import status_field
from redcap_dagster.project.model import REDCapProject
from redcap_dagster.project.rows import Event, Field
from redcap_dagster.project.system_columns import timestamp_column
from redcap_dagster.project.xml.structure_reader import FIELD_TYPES, VALIDATIONS

_XML_FIELD_TYPES = {name: xml_name for xml_name, name in FIELD_TYPES.items()}
_XML_VALIDATIONS = {name: xml_name for xml_name, name in VALIDATIONS.items()}
_SETTINGS = {
    "RecordAutonumberingEnabled": "record_autonumbering_enabled",
    "CustomRecordLabel": "custom_record_label",
    "SecondaryUniqueField": "secondary_unique_field",
    "SchedulingEnabled": "scheduling_enabled",
    "SurveysEnabled": "surveys_enabled",
    "RandomizationEnabled": "randomization_enabled",
    "DisplayTodayNowButton": "display_today_now_button",
    "PreventBranchingEraseValues": "bypass_branching_erase_field_prompt",
    "Purpose": "purpose",
    "PurposeOther": "purpose_other",
    "ProjectNotes": "project_notes",
    "MissingDataCodes": "missing_data_codes",
}
_TAG = re.compile(r"<[^<>]*>")


def write_study(
    root: Element,
    project: REDCapProject,
    access_groups: Iterable[str],
    quality_rules: Iterable[Mapping[str, str]] = (),
) -> Mapping[str, str]:
    """Write the structure below `root`, and return the item group of each item."""
    study = SubElement(root, "Study", {"OID": "Project"})
    settings = _write_settings(study, project)
    _write_group(settings, "DataQualityRules", quality_rules)
    if project.has_access_groups:
        # Groups without records are unknown here; a blank name says that there are groups.
        names = list(access_groups) or [""]
        _write_group(settings, "DataAccessGroups", [{"group_name": name} for name in names])
    return _write_metadata(study, project)


# -- settings -------------------------------------------------------------------------------------


def _write_group(settings: Element, name: str, rows: Iterable[Mapping[str, str]]) -> None:
    """Write rows of attributes as a group of elements; nothing without rows."""
    written = list(rows)
    group = SubElement(settings, f"redcap:{name}Group") if written else settings
    for row in written:
        SubElement(group, f"redcap:{name}", dict(row))


def _write_settings(study: Element, project: REDCapProject) -> Element:
    settings = SubElement(study, "GlobalVariables")
    for name in ("StudyName", "StudyDescription", "ProtocolName"):
        SubElement(settings, name).text = project.info.project_title
    for name, column in _SETTINGS.items():
        value = getattr(project.info, column)
        SubElement(settings, f"redcap:{name}").text = "" if value is None else str(value)
    if project.has_repeating:
        repeating = SubElement(settings, "redcap:RepeatingInstrumentsAndEvents")
        for event in (row.event_name for row in project.repeating if not row.form_name):
            at = {"redcap:UniqueEventName": event}
            SubElement(repeating, "redcap:RepeatingEvent", at)
        forms = SubElement(repeating, "redcap:RepeatingInstruments")
        for row in (row for row in project.repeating if row.form_name):
            written = {
                "redcap:UniqueEventName": row.event_name or "event_1_arm_1",
                "redcap:RepeatInstrument": row.form_name,
                "redcap:CustomLabel": row.custom_form_label,
            }
            SubElement(forms, "redcap:RepeatingInstrument", written)
    return settings


# -- structure ------------------------------------------------------------------------------------


def _write_metadata(study: Element, project: REDCapProject) -> Mapping[str, str]:
    title = project.info.project_title
    own = {"OID": "M", "Name": title, "redcap:RecordIdField": project.record_id_field}
    metadata = SubElement(study, "MetaDataVersion", own)
    if project.is_longitudinal:
        protocol = SubElement(metadata, "Protocol")
        for number, event in enumerate(project.events, 1):
            oid = f"Event.{event.unique_event_name}"
            ordered = {"StudyEventOID": oid, "OrderNumber": str(number), "Mandatory": "No"}
            SubElement(protocol, "StudyEventRef", ordered)
    arms = {arm.arm_num: arm.name for arm in project.arms}
    for event in project.events:
        designated = [
            row.form
            for row in project.form_events
            if row.unique_event_name == event.unique_event_name
        ]
        _write_event_definition(metadata, event, arms.get(event.arm_num, ""), designated)
    forms: list[Element] = []
    groups: list[Element] = []
    items: list[Element] = []
    lists: list[Element] = []
    groups_of_items: dict[str, str] = {}
    for instrument in project.instruments:
        name = instrument.instrument_name
        definition = Element(
            "FormDef", {"OID": f"Form.{name}", "Name": instrument.instrument_label}
        )
        definition.attrib |= {"Repeating": "No", "redcap:FormName": name}
        forms.append(definition)
        for number, (oid, field, options) in enumerate(_list_items(project, name)):
            header = field.section_header
            if not number or (header and items[-1].get("redcap:Variable") != field.field_name):
                group = {"OID": f"{name}.{oid}", "Name": header or instrument.instrument_label}
                groups.append(Element("ItemGroupDef", {**group, "Repeating": "No"}))
                reference = {"ItemGroupOID": group["OID"], "Mandatory": "No"}
                SubElement(definition, "ItemGroupRef", reference)
            variable = {"redcap:Variable": field.field_name}
            SubElement(groups[-1], "ItemRef", {"ItemOID": oid, "Mandatory": "No", **variable})
            groups_of_items[oid] = groups[-1].attrib["OID"]
            items.append(_build_item(oid, field, coded=bool(options)))
            if options:
                lists.append(_build_code_list(oid, field, options))
    metadata.extend((*forms, *groups, *items, *lists))
    return groups_of_items


def _write_event_definition(
    metadata: Element, event: Event, arm: str, designated: Iterable[str]
) -> None:
    name = f"{event.event_name} (Arm {event.arm_num}: {arm})"
    own = {"OID": f"Event.{event.unique_event_name}", "Name": name, "Type": "Common"}
    written = {
        "EventName": event.event_name,
        "CustomEventLabel": event.custom_event_label,
        "UniqueEventName": event.unique_event_name,
        "ArmNum": event.arm_num,
        "ArmName": arm,
        "DayOffset": event.day_offset,
        "OffsetMin": event.offset_min,
        "OffsetMax": event.offset_max,
    }
    named = {f"redcap:{key}": "" if it is None else str(it) for key, it in written.items()}
    definition = SubElement(metadata, "StudyEventDef", {**own, "Repeating": "No", **named})
    for number, form in enumerate(designated, 1):
        reference = {"FormOID": f"Form.{form}", "OrderNumber": str(number), "Mandatory": "No"}
        SubElement(definition, "FormRef", {**reference, "redcap:FormName": form})


def _list_items(
    project: REDCapProject, instrument: str
) -> Iterator[tuple[str, Field, tuple[Choice, ...]]]:
    """Yield the items of a instrument with their options; REDCap's own have a blank field type."""
    for field in project.fields:
        if field.form_name != instrument:
            continue
        if field.field_type == "checkbox":
            own = field.choices or (Choice("", ""),)
            for oid, _ in option_items(project, field):
                yield oid, field, own
        else:
            yield field.field_name, field, _parse_all_choices(field)
        if field is project.fields[0]:
            for name in project.context_columns:
                yield name, Field(name, instrument, field_type=""), ()
    if instrument in project.surveys:
        yield (
            timestamp_column(instrument),
            Field(timestamp_column(instrument), instrument, field_type=""),
            (),
        )
    status = status_field(instrument)
    yield status.field_name, status, status.choices


def option_items(project: REDCapProject, checkbox: Field) -> Iterator[tuple[str, Choice]]:
    """Yield the item name of each option: it has the code itself, unlike the export column."""
    for choice in project.options(checkbox) or (Choice("", ""),):
        yield f"{checkbox.field_name}___{choice.code}", choice


def _parse_all_choices(field: Field) -> tuple[Choice, ...]:
    """Return all options of a field, also those whose code comes twice."""
    if field.field_type not in ("radio", "dropdown"):
        return field.choices
    written = []
    for segment in field.select_choices_or_calculations.split("|"):
        code, comma, label = (part.strip() for part in segment.partition(","))
        if code:
            written.append(Choice(code, label if comma else code))
    return tuple(written)


def _build_item(oid: str, field: Field, *, coded: bool) -> Element:
    validation = field.validation
    written = {
        "Variable": field.field_name,
        "FieldType": _XML_FIELD_TYPES.get(field.field_type, field.field_type),
        "TextValidationType": _XML_VALIDATIONS.get(validation, validation),
        "FieldNote": field.field_note,
        "SectionHeader": field.section_header,
        "Calculation": field.select_choices_or_calculations * (field.field_type == "calc"),
        "SliderLabels": field.select_choices_or_calculations * (field.field_type == "slider"),
        "Identifier": field.identifier,
        "RequiredField": field.required_field,
        "BranchingLogic": field.branching_logic,
        "CustomAlignment": field.custom_alignment,
        "QuestionNumber": field.question_number,
        "MatrixGroupName": field.matrix_group_name,
        "MatrixRanking": field.matrix_ranking,
        "FieldAnnotation": field.field_annotation,
    }
    named = {f"redcap:{name}": value for name, value in written.items() if value}
    # A server writes data types by validation; readers of REDCap's XML do not need them.
    item = Element("ItemDef", {"OID": oid, "Name": oid, "DataType": "text", **named})
    question = SubElement(item, "Question")
    SubElement(question, "TranslatedText").text = _TAG.sub("", field.field_label)
    if _TAG.search(field.field_label):
        SubElement(question, "redcap:FormattedTranslatedText").text = field.field_label
    for comparator, limit in (("GE", field.text_validation_min), ("LE", field.text_validation_max)):
        if limit:
            check = SubElement(item, "RangeCheck", {"Comparator": comparator, "SoftHard": "Soft"})
            SubElement(check, "CheckValue").text = limit
    if coded:
        SubElement(item, "CodeListRef", {"CodeListOID": f"{oid}.choices"})
    return item


def _build_code_list(oid: str, field: Field, options: Iterable[Choice]) -> Element:
    codes = Element("CodeList", {"OID": f"{oid}.choices", "Name": oid, "DataType": "text"})
    codes.set("redcap:Variable", field.field_name)
    if field.field_type == "checkbox":
        codes.set("redcap:CheckboxChoices", field.select_choices_or_calculations)
        options = (Choice("1", "Checked"), Choice("0", "Unchecked"))
    for choice in options:
        option = SubElement(codes, "CodeListItem", {"CodedValue": choice.code})
        SubElement(SubElement(option, "Decode"), "TranslatedText").text = choice.label
    return codes
