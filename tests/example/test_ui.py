"""The example in the Dagster UI, as a visitor with a browser sees it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import FloatRect, Page, expect

from tests.example.conftest import Project, read_until

# The parts of the page that are pictures worth having: without navigation and buttons.
GRAPH: FloatRect = {"x": 290, "y": 245, "width": 1160, "height": 675}
FORM: FloatRect = {"x": 0, "y": 0, "width": 920, "height": 610}
ASSET: FloatRect = {"x": 240, "y": 0, "width": 1260, "height": 1180}


@pytest.fixture
def served(project: Project) -> Iterator[tuple[str, str]]:
    """Where `make ui` says that the UI and the pages of REDCap are."""
    with project.running("python", "-m", "example_project.ui") as process:
        dagster = read_until(process, r"Dagster UI +(\S+)")[1][1]
        yield dagster, read_until(process, r"REDCap pages +(\S+)")[1][1]


@pytest.mark.slow
def test_a_visitor_makes_the_tables_and_looks_at_them(
    page: Page, project: Project, served: tuple[str, str], pictures: Path
) -> None:
    ui, redcap = served
    page.goto(ui)
    expect(page.get_by_role("link", name="asthma / clean / diary")).to_be_visible()
    ui = ui.removesuffix("/assets")
    page.goto(f"{ui}/automation")
    expect(page.get_by_role("checkbox", checked=True)).to_have_count(3)

    page.goto(f"{ui}/asset-groups")
    for layer in ("metadata", "records", "clean"):
        for study in ("cervical", "asthma"):
            expect(page.get_by_text(f"{study}_{layer}").first).to_be_visible()
    page.get_by_role("button", name="Materialize all").click()
    page.locator("a[href*='/runs/']").first.click()
    expect(page.get_by_text("RUN_SUCCESS")).to_be_visible()

    page.goto(f"{ui}/assets/cervical/clean/risk_factors?view=lineage&lineageScope=all")
    for group in ("cervical_metadata", "cervical_records", "cervical_clean", "analysis"):
        expect(page.get_by_text(group, exact=True).first).to_be_visible()
    expect(page.get_by_text("Materialized", exact=True)).to_have_count(7)
    page.screenshot(path=pictures / "asset-graph.png", clip=GRAPH)

    page.goto(f"{ui}/assets/asthma/clean/enrolment?view=overview")
    for column, kind, label in (
        ("consented_on", "date", "Date of consent"),
        ("age", "integer", "Age in years"),
        ("sex", "choice", "Sex"),
    ):
        row = page.get_by_role("row", name=re.compile(f"^{column} "))
        expect(row).to_contain_text(kind)
        expect(row).to_contain_text(label)
    expect(page.get_by_text("Row count")).to_be_visible()
    # Not its state: the daemon evaluates it when it has time.
    expect(page.get_by_text("Freshness policy").first).to_be_visible()
    page.set_viewport_size({"width": 1500, "height": 1180})
    page.screenshot(path=pictures / "asset.png", clip=ASSET)

    page.get_by_role("tab", name="Checks").click()
    for check in ("choices_known", "labels_distinct", "values_fit_types", "within_range"):
        expect(page.get_by_text(check).first).to_be_visible()
    # One of the made-up people is too young for the trial, some were not asked for their age, and
    # one who does not smoke has a number of cigarettes.
    expect(page.get_by_text("Failed", exact=True)).to_have_count(3)
    expect(page.get_by_text("All calculated values are correct.")).to_be_visible()

    page.goto(f"{ui}/assets/asthma/status/forms?view=overview")
    completeness = page.get_by_role("row", name=re.compile("^redcap.completeness "))
    expect(completeness).to_contain_text("█████████░ 90 % (54 of 60)")

    page.goto(f"{ui}/assets/asthma/queries/open?view=overview")
    by_rule = page.get_by_role("row", name=re.compile("^redcap.queries "))
    expect(by_rule).to_contain_text("within_range")
    by_rule.scroll_into_view_if_needed()
    place = by_rule.bounding_box()
    assert place is not None
    page.screenshot(path=pictures / "queries.png", clip={**place, "width": 828})

    queries = project.table("asthma_queries.open")
    assert {"within_range", "required_filled", "hidden_filled"} <= set(queries["rule"])
    books = sorted(path.name for path in (project.root / "to_mend").iterdir())
    assert books == [
        f"asthma_queries_{group}.xlsx"
        for group in ("north", "records_without_access_group", "south")
    ]
    page.goto(redcap)
    too_young = queries[queries["rule"] == "within_range"].iloc[0]
    page.goto(too_young["link"])
    expect(page.locator(f"#{too_young['field']}-tr")).to_contain_text("17")
    expect(page.get_by_role("definition").first).to_have_text(too_young["record"])
    page.screenshot(path=pictures / "query-form.png", clip=FORM)
