"""Project XML -> the structure of a project; see `redcap_dagster.project.xml.reader`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from xml.etree.ElementTree import Element

from redcap_dagster.project.choices import Choice, checkbox_column, format_choices, parse_choices
from redcap_dagster.project.model import REDCapProject
from redcap_dagster.project.rows import (
    Arm,
    Event,
    Field,
    FormEvent,
    Instrument,
    ProjectInfo,
    Repeating,
)
from redcap_dagster.project.system_columns import status_column, timestamp_column

ODM = "{http://www.cdisc.org/ns/odm/v1.3}"
REDCAP = "{https://projectredcap.org}"

FIELD_TYPES: Final = {"textarea": "notes", "select": "dropdown"}
VALIDATIONS: Final = {"int": "integer", "float": "number"}
"""Names of field types and validations in project XML, and in the dictionary."""


def read_study(study: Element, version: str) -> tuple[REDCapProject, Mapping[str, tuple[str, str]]]:
    """Return the project, and the field and code of each checkbox item.

    Args:
        study: Element ``Study``.
        version: REDCap version of the server.
    """
    forms = _read_forms(study)
    events = tuple(_read_event(event) for event in study.iter(f"{ODM}StudyEventDef"))
    project = REDCapProject(
        fields=tuple(forms.fields.values()),
        instruments=tuple(forms.instruments),
        info=_read_info(study, longitudinal=bool(events)),
        arms=_read_arms(study),
        events=events,
        form_events=tuple(_read_form_events(study)),
        repeating=tuple(_read_repeating(study, longitudinal=bool(events))),
        version=version,
        has_access_groups=next(study.iter(f"{REDCAP}DataAccessGroups"), None) is not None,
        has_survey_identifier=bool(forms.surveys),
        surveys=tuple(forms.surveys),
    )
    return project, forms.checkboxes


@dataclass(frozen=True, slots=True)
class _Forms:
    """The instruments of a study, as they are read.

    Attributes:
        fields: Fields by name.
        instruments: Instruments, in their order.
        surveys: Names of the instruments that are surveys.
        checkboxes: Field and code of each checkbox item.
    """

    fields: dict[str, Field] = field(default_factory=dict)
    instruments: list[Instrument] = field(default_factory=list)
    surveys: list[str] = field(default_factory=list)
    checkboxes: dict[str, tuple[str, str]] = field(default_factory=dict)


def _read_forms(study: Element) -> _Forms:
    items = {item.attrib["OID"]: item for item in study.iter(f"{ODM}ItemDef")}
    lists = {codes.attrib["OID"]: codes for codes in study.iter(f"{ODM}CodeList")}
    groups = {group.attrib["OID"]: group for group in study.iter(f"{ODM}ItemGroupDef")}
    # An XML without survey columns still has the settings of surveys.
    with_settings = {row.get("form_name") for row in study.iter(f"{REDCAP}Surveys")}
    forms = _Forms()
    for form in study.iter(f"{ODM}FormDef"):
        name = _read_form_name(form, "OID")
        forms.instruments.append(Instrument(name, form.get("Name", name)))
        is_survey = name in with_settings
        for reference in form.findall(f"{ODM}ItemGroupRef"):
            group = groups.pop(reference.attrib["ItemGroupOID"], None)  # of one instrument only
            for item_reference in () if group is None else group.findall(f"{ODM}ItemRef"):
                oid = item_reference.attrib["ItemOID"]
                item = items.get(oid)
                field_type = None if item is None else item.get(f"{REDCAP}FieldType")
                is_survey |= oid == timestamp_column(name) and field_type is None
                if item is None or field_type is None or oid == status_column(name):
                    continue
                variable = item.get(f"{REDCAP}Variable", oid)
                if variable not in forms.fields:
                    forms.fields[variable] = _read_field(item, variable, name, lists)
                if field_type == "checkbox":
                    choices = forms.fields[variable].choices
                    forms.checkboxes[oid] = (variable, _find_code(oid, choices))
        if is_survey:
            forms.surveys.append(name)
    return forms


def _read_form_name(element: Element, oid: str) -> str:
    """Return the name of an instrument: REDCap's attribute, or else from its OID."""
    return element.get(f"{REDCAP}FormName") or element.attrib[oid].removeprefix("Form.")


def _read_arms(study: Element) -> tuple[Arm, ...]:
    """Return the arms of the events; of several names of an arm, the last one."""
    names = {
        int(event.attrib[f"{REDCAP}ArmNum"]): event.get(f"{REDCAP}ArmName", "")
        for event in study.iter(f"{ODM}StudyEventDef")
    }
    return tuple(Arm(number, name) for number, name in names.items())


def _read_form_events(study: Element) -> Iterator[FormEvent]:
    for event in study.iter(f"{ODM}StudyEventDef"):
        number, name = (
            int(event.attrib[f"{REDCAP}ArmNum"]),
            event.attrib[f"{REDCAP}UniqueEventName"],
        )
        for reference in event.findall(f"{ODM}FormRef"):
            yield FormEvent(number, name, _read_form_name(reference, "FormOID"))


def _read_field(
    item: Element, variable: str, instrument: str, lists: Mapping[str, Element]
) -> Field:
    def own(name: str) -> str:
        return item.get(f"{REDCAP}{name}", "")

    field_type = FIELD_TYPES.get(own("FieldType"), own("FieldType"))
    validation = own("TextValidationType")
    limits = {
        check.get("Comparator"): check.findtext(f"{ODM}CheckValue", "")
        for check in item.iter(f"{ODM}RangeCheck")
    }
    question = item.find(f"{ODM}Question")
    label = ""
    if question is not None:
        # The formatted text is the label with its HTML, as the API sends it.
        plain = question.findtext(f"{ODM}TranslatedText", "")
        label = question.findtext(f"{REDCAP}FormattedTranslatedText", "") or plain
    return Field(
        field_name=variable,
        form_name=instrument,
        section_header=own("SectionHeader"),
        field_type=field_type,
        field_label=label,
        select_choices_or_calculations=_read_choices(item, field_type, lists),
        field_note=own("FieldNote"),
        text_validation_type_or_show_slider_number=VALIDATIONS.get(validation, validation),
        text_validation_min=limits.get("GE", ""),
        text_validation_max=limits.get("LE", ""),
        identifier=own("Identifier"),
        branching_logic=own("BranchingLogic"),
        required_field=own("RequiredField"),
        custom_alignment=own("CustomAlignment"),
        question_number=own("QuestionNumber"),
        matrix_group_name=own("MatrixGroupName"),
        matrix_ranking=own("MatrixRanking"),
        field_annotation=own("FieldAnnotation"),
    )


def _read_choices(item: Element, field_type: str, lists: Mapping[str, Element]) -> str:
    reference = item.find(f"{ODM}CodeListRef")
    codes = None if reference is None else lists.get(reference.attrib["CodeListOID"])
    match field_type:
        case "calc":
            return item.get(f"{REDCAP}Calculation", "")
        case "slider":
            return item.get(f"{REDCAP}SliderLabels", "")
        case "checkbox" if codes is not None:
            return format_choices(parse_choices(codes.get(f"{REDCAP}CheckboxChoices", "")))
        case "radio" | "dropdown" if codes is not None:
            return format_choices(
                tuple(
                    Choice(
                        option.attrib["CodedValue"],
                        option.findtext(f"{ODM}Decode/{ODM}TranslatedText", ""),
                    )
                    for option in codes.iter(f"{ODM}CodeListItem")
                )
            )
        case _:
            return ""


def _find_code(oid: str, choices: tuple[Choice, ...]) -> str:
    """Return the code of a checkbox item: its OID has the code, or is the export column."""
    variable, _, suffix = oid.partition("___")
    for choice in choices:
        if suffix == choice.code or checkbox_column(variable, choice.code) == oid:
            return choice.code
    return suffix


def _read_event(event: Element) -> Event:
    def number(name: str) -> int | None:
        text = event.get(f"{REDCAP}{name}", "")
        return int(text) if text.lstrip("-").isdigit() else None

    return Event(
        event_name=event.get(f"{REDCAP}EventName", ""),
        arm_num=int(event.attrib[f"{REDCAP}ArmNum"]),
        unique_event_name=event.attrib[f"{REDCAP}UniqueEventName"],
        custom_event_label=event.get(f"{REDCAP}CustomEventLabel") or None,
        day_offset=number("DayOffset"),
        offset_min=number("OffsetMin"),
        offset_max=number("OffsetMax"),
    )


def _read_repeating(study: Element, *, longitudinal: bool) -> Iterator[Repeating]:
    for event in study.iter(f"{REDCAP}RepeatingEvent"):
        yield Repeating(event_name=event.attrib[f"{REDCAP}UniqueEventName"])
    for form in study.iter(f"{REDCAP}RepeatingInstrument"):
        # A classic project's instruments name an event that its API never shows.
        event_name = form.attrib[f"{REDCAP}UniqueEventName"] if longitudinal else ""
        yield Repeating(
            form.attrib[f"{REDCAP}RepeatInstrument"],
            event_name,
            form.get(f"{REDCAP}CustomLabel", ""),
        )


def _read_info(study: Element, *, longitudinal: bool) -> ProjectInfo:
    settings = study.find(f"{ODM}GlobalVariables")

    def text(name: str) -> str:
        return "" if settings is None else settings.findtext(f"{REDCAP}{name}", "")

    def flag(name: str) -> int:
        return int(text(name) or 0)

    repeats = any(True for _ in _read_repeating(study, longitudinal=longitudinal))
    return ProjectInfo(
        project_title="" if settings is None else settings.findtext(f"{ODM}StudyName", ""),
        purpose=flag("Purpose"),
        purpose_other=text("PurposeOther"),
        project_notes=text("ProjectNotes"),
        custom_record_label=text("CustomRecordLabel"),
        secondary_unique_field=text("SecondaryUniqueField"),
        is_longitudinal=int(longitudinal),
        has_repeating_instruments_or_events=int(repeats),
        surveys_enabled=flag("SurveysEnabled"),
        scheduling_enabled=flag("SchedulingEnabled"),
        record_autonumbering_enabled=flag("RecordAutonumberingEnabled"),
        randomization_enabled=flag("RandomizationEnabled"),
        display_today_now_button=flag("DisplayTodayNowButton"),
        missing_data_codes=text("MissingDataCodes"),
        bypass_branching_erase_field_prompt=flag("PreventBranchingEraseValues"),
    )
