"""The records and files of project XML."""

from tests.sandbox.conftest import Ask


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
