"""The made-up study of the example has the shape of the project that was published."""

from collections import Counter
from pathlib import Path

from example_project.studies import cervical
from redcap_dagster.project.xml.reader import read_odm


def test_it_has_the_shape_of_the_published_project(fixtures: Path) -> None:
    published = read_odm(fixtures / "cervical" / "cervical_cancer_factors.REDCap.xml")
    assert list(cervical.LABELS) == [field.field_name for field in published.project.fields]
    marked = Counter(point.field_name for point in published.points if point.value == "?")
    rows = cervical.records()
    assert Counter(name for row in rows for name, cell in row.items() if cell == "?") == marked
