"""The project that this software comes from: the whole way, from REDCap to a table."""

import csv
from pathlib import Path

import pyarrow as pa

from tests.dagster_runs import entry, materializations, studying, summary


def test_clean_table_equals_the_published_data(fixtures: Path, tmp_path: Path) -> None:
    folder = fixtures / "cervical"
    with studying(tmp_path, folder / "cervical_cancer_factors.REDCap.xml") as study:
        result = study.run()
        assert result.success
        ours = study.table("study_clean.form_1")
        made = materializations(result)["study/clean/form_1"]
    with (folder / "risk_factors_cervical_cancer.csv").open(newline="") as file:
        theirs = list(csv.reader(file))[1:]
    fields = [name for name in ours.column_names if name not in ("record_id", "form_1_complete")]

    assert ours.num_rows == entry(made, "dagster/row_count") == len(theirs) == 858
    assert ours["record_id"].to_pylist() == [str(number + 1) for number in range(858)]
    assert [str(ours.schema.field(name).type) for name in fields].count("string") == 0
    assert len(fields) == 36
    assert entry(made, "redcap/replaced_values") == 3_622
    assert entry(made, "redcap/missing_values") == 3_622 + 858  # no row has a status
    assert entry(made, "redcap/invalid_values") == 0
    types = summary(made, "type")
    assert {name for name, kind in types.items() if kind.endswith("(inferred)")} == set(fields)

    rounded = []
    for index, name in enumerate(fields):
        for mine, given in zip(ours[name].to_pylist(), (row[index] for row in theirs), strict=True):
            if given == "?":
                assert mine is None
            elif mine != float(given):
                assert abs(mine - float(given)) < 1e-6
                rounded.append(name)
    assert rounded == ["n_pack_year"] * 18
    assert pa.compute.sum(ours["age"]).as_py() == sum(int(row[0]) for row in theirs)
