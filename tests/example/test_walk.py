"""The second half of ``docs/walk.md`` in a browser, with its pictures: a project in Dagster."""

from pathlib import Path

import pytest
from playwright.sync_api import FloatRect, Page, expect

from example_project.studies import cervical
from redcap_dagster.sandbox import Sandbox
from tests.example.conftest import Project, read_until

# Without navigation and buttons.
GRAPH: FloatRect = {"x": 290, "y": 200, "width": 1160, "height": 760}
AUTOMATION: FloatRect = {"x": 240, "y": 0, "width": 1260, "height": 300}


@pytest.mark.slow
def test_the_project_becomes_assets_with_an_analysis_and_a_schedule(
    page: Page, project: Project, sandbox: Sandbox, pictures: Path
) -> None:
    variables = {
        "REDCAP_API_URL": sandbox.url,
        "REDCAP_API_TOKEN": sandbox.add_project(
            exports=cervical.exports(), records=cervical.records()
        ),
        "REDCAP_STUDY": "walk",
    }
    with project.running("python", "-m", "example_project.ui", **variables) as process:
        ui = read_until(process, r"Dagster UI +(http://[^/]+)")[1][1]
        page.goto(f"{ui}/asset-groups")
        page.get_by_role("button", name="Materialize all").click()
        page.locator("a[href*='/runs/']").first.click()
        expect(page.get_by_text("RUN_SUCCESS")).to_be_visible()

        page.goto(f"{ui}/assets/walk/clean/risk_factors?view=lineage&lineageScope=all")
        expect(page.get_by_text("Materialized", exact=True)).to_have_count(7)
        page.screenshot(path=pictures / "walk-assets.png", clip=GRAPH)

        page.goto(f"{ui}/assets/walk/analysis/summary_statistics?view=overview")
        metadata = page.get_by_role("row").filter(has_text="distributions")
        metadata.get_by_text("Show Markdown").click()
        plots = page.get_by_role("dialog")
        expect(plots.locator("img[src^='data:image/png']")).to_be_visible()
        plots.screenshot(path=pictures / "walk-analysis.png", animations="disabled")

        page.goto(f"{ui}/locations/example_project/schedules/walk__schedule")
        running = page.get_by_role("checkbox")
        expect(running).not_to_be_checked()
        running.press("Space")
        expect(running).to_be_checked()

        page.goto(f"{ui}/automation")
        boxes = page.get_by_role("checkbox")  # for all; then two for each of two automations
        expect(boxes).to_have_count(5)
        expect(boxes.last).to_be_checked()
        expect(page.get_by_text("Scheduled At 03:00 AM")).to_be_visible()
        page.screenshot(path=pictures / "walk-schedule.png", clip=AUTOMATION)
