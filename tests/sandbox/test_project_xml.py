"""The records and files of project XML."""

from pathlib import Path

from redcap_dagster.project.xml.reader import read_odm
from redcap_dagster.sandbox import Sandbox
from redcap_dagster.tables.quality import read_quality_rules
from tests.sandbox.conftest import Ask

SETTINGS = """
<redcap:SurveysGroup><redcap:Surveys form_name="lab" title="Lab"/></redcap:SurveysGroup>
<redcap:UserRolesGroup><redcap:UserRoles role_name="Reader" unique_role_name="U-0000000001"
 data_entry="[visit,2][lab,0]" data_export_instruments="[visit,3]" data_logging="1" api_export="1"
 lock_record=""/></redcap:UserRolesGroup>
<redcap:ReportsGroup><redcap:Reports title="One" limiter_logic=" [dose] = '5'"
 redcap_reports_fields="id,dose,gone"/></redcap:ReportsGroup>
</GlobalVariables>"""


def test_xml_of_the_requested_rows(longitudinal: str, ask: Ask) -> None:
    whole = ask(longitudinal, content="project_xml")
    assert whole.headers["content-type"] == "text/xml; charset=utf-8"
    assert "ItemData " in whole.text
    assert 'Value="north"' not in whole.text
    assert 'Value="99"' not in whole.text  # of an instrument that its event does not have
    structure = ask(longitudinal, content="project_xml", returnMetadataOnly="true")
    assert "ItemData " not in structure.text
    some = ask(longitudinal, content="project_xml", fields="id,age", events="first_arm_2")
    assert 'ItemOID="age" Value="3"' in some.text
    assert 'ItemOID="age" Value="2"' not in some.text


def test_quality_rules_of_a_file_are_exported_again(
    classic: str, sandbox: Sandbox, ask: Ask, tmp_path: Path
) -> None:
    xml = ask(classic, content="project_xml").text
    assert "DataQualityRules" not in xml
    rules = """<redcap:DataQualityRulesGroup>
<redcap:DataQualityRules rule_order="1" rule_name="Old &lt; &quot;x&quot;"
 rule_logic="[age]&gt;90&#10;or [age]&lt;1" real_time_execute="0"/>
<redcap:DataQualityRules rule_order="2" rule_name="B" rule_logic="[age]=2" real_time_execute="1"/>
</redcap:DataQualityRulesGroup></GlobalVariables>"""
    (path := tmp_path / "project.xml").write_text(xml.replace("</GlobalVariables>", rules, 1))
    token = sandbox.add_project(path)
    (again := tmp_path / "again.xml").write_text(ask(token, content="project_xml").text)
    assert read_odm(again).quality_rules == read_odm(path).quality_rules
    assert [(rule.name, rule.logic) for rule in read_quality_rules(again)] == [
        ('Old < "x"', "[age]>90\nor [age]<1"),
        ("B", "[age]=2"),
    ]


def test_roles_reports_and_surveys_of_a_file_are_there(
    classic: str, sandbox: Sandbox, ask: Ask, tmp_path: Path
) -> None:
    xml = ask(classic, content="project_xml").text
    assert "</GlobalVariables>" in xml
    (path := tmp_path / "project.xml").write_text(xml.replace("</GlobalVariables>", SETTINGS, 1))
    token = sandbox.add_project(path)

    (role,) = ask(token, content="userRole", format="json").json()
    assert (role["unique_role_name"], role["role_label"]) == ("U-0000000001", "Reader")
    assert (role["logging"], role["design"], role["lock_records"]) == ("1", "0", "0")
    assert role["forms"] == {"visit": "2", "lab": "0", "drug": "1"}
    assert role["forms_export"] == {"visit": "3", "lab": "1", "drug": "1"}
    mapping = '[{"username": "sandbox", "unique_role_name": "U-0000000001"}]'
    assert ask(token, content="surveyLink", record="9", instrument="lab").ok
    added = sandbox.add_report(token, ["id"])
    report = ask(token, content="report", report_id=str(added - 1))
    assert report.text.splitlines()[1:] == ["9,drug,2,5"]
    done = ask(token, content="userRoleMapping", action="import", format="json", data=mapping)
    assert done.text == "1"
    assert ask(token, content="userRole").status_code == 400
