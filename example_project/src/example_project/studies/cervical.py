"""A made-up study of cervical cancer risk factors.

Its fields and approximate frequencies are those of the data that the UCI Machine Learning
Repository publishes (Fernandes, Cardoso and Fernandes, 2017). It holds no data of it: all people
come from a seeded random generator. As in the original, all fields are text without validation, and
a question mark means that a question was not answered.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from redcap_dagster.project import Field

FORM = "risk_factors"
RECORDS = 858
MISSING = "?"

LABELS = {
    "record_id": "Record ID",
    "age": "Age in years",
    "n_sex_partners": "Number of sexual partners",
    "first_intercourse": "Age at first intercourse",
    "n_pregnancies": "Number of pregnancies",
    "smokes": "Smokes",
    "n_smoke_years": "Years of smoking",
    "n_pack_year": "Packs of cigarettes a year",
    "hormonal_contra": "Takes hormonal contraceptives",
    "n_hormonal_contra_years": "Years of hormonal contraceptives",
    "iud": "Has an intrauterine device",
    "n_iud_years": "Years with an intrauterine device",
    "stds": "Any sexually transmitted disease",
    "n_stds": "Number of sexually transmitted diseases",
    "stds_condylomatosis": "Condylomatosis",
    "stds_cervical_condylomatosis": "Cervical condylomatosis",
    "stds_vaginal_condylomatosis": "Vaginal condylomatosis",
    "stds_vulvo_perineal_condylomatosis": "Vulvo-perineal condylomatosis",
    "stds_syphilis": "Syphilis",
    "stds_pid": "Pelvic inflammatory disease",
    "stds_genital_herpes": "Genital herpes",
    "stds_molluscum_contagiosum": "Molluscum contagiosum",
    "stds_aids": "AIDS",
    "stds_hiv": "HIV",
    "stds_hep_b": "Hepatitis B",
    "stds_hpv": "HPV",
    "stds_n_dx": "Number of diagnoses of such a disease",
    "stds_time_since_first_dx": "Years since the first diagnosis",
    "stds_time_since_last_dx": "Years since the last diagnosis",
    "dx_cancer": "Earlier diagnosis of cancer",
    "dx_cin": "Earlier diagnosis of neoplasia (CIN)",
    "dx_hpv": "Earlier diagnosis of HPV",
    "dx": "Any earlier diagnosis",
    "hinselmann": "Colposcopy after Hinselmann positive",
    "schiller": "Schiller's iodine test positive",
    "citology": "Cytology positive",
    "biopsy": "Biopsy positive",
}

# The share of each disease among people who have one. Two diseases never occur.
DISEASES = {
    "stds_condylomatosis": 0.557,
    "stds_cervical_condylomatosis": 0.0,
    "stds_vaginal_condylomatosis": 0.051,
    "stds_vulvo_perineal_condylomatosis": 0.544,
    "stds_syphilis": 0.228,
    "stds_pid": 0.013,
    "stds_genital_herpes": 0.013,
    "stds_molluscum_contagiosum": 0.013,
    "stds_aids": 0.0,
    "stds_hiv": 0.228,
    "stds_hep_b": 0.013,
    "stds_hpv": 0.025,
}

# The published share of missing answers, by the questions that people left out together.
# The years since a diagnosis are missing for people without one: a share of 0.9172.
UNANSWERED = {
    ("n_sex_partners",): 0.0303,
    ("first_intercourse",): 0.0082,
    ("n_pregnancies",): 0.0653,
    ("smokes", "n_smoke_years", "n_pack_year"): 0.0152,
    ("hormonal_contra", "n_hormonal_contra_years"): 0.1259,
    ("iud", "n_iud_years"): 0.1364,
    ("stds", "n_stds", *DISEASES): 0.1224,
}
UNDIAGNOSED = 0.9172

Numbers = NDArray[np.floating]


def exports() -> Mapping[str, Any]:
    """Return the structure of the study, as REDCap's API exports it, by content."""
    return {
        "project": {"project_title": "Cervical cancer risk factors", "is_longitudinal": 0},
        "instrument": [{"instrument_name": FORM, "instrument_label": "Risk factors"}],
        "metadata": [
            asdict(Field(name, FORM, field_label=label)) for name, label in LABELS.items()
        ],
    }


def records(seed: int = 2017) -> list[dict[str, str]]:
    """Return the records of the study as a flat export; the same for the same seed.

    Example:
        >>> rows = records()
        >>> len(rows), len(rows[0]), rows[0]["record_id"]
        (858, 38, '1')
        >>> sum(value == "?" for row in rows for value in row.values())
        3622
    """
    rng = np.random.default_rng(seed)
    answers = _answers(rng)
    columns = {
        "record_id": [str(number) for number in range(1, RECORDS + 1)],
        **{name: [f"{value:g}" for value in answers[name]] for name in list(LABELS)[1:]},
        f"{FORM}_complete": ["2"] * RECORDS,
    }
    for names, share in UNANSWERED.items():
        for person in rng.choice(RECORDS, round(share * RECORDS), replace=False):
            for name in names:
                columns[name][person] = MISSING
    for person in np.flatnonzero(answers["stds_n_dx"] == 0):
        columns["stds_time_since_first_dx"][person] = MISSING
        columns["stds_time_since_last_dx"][person] = MISSING
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _answers(rng: np.random.Generator) -> dict[str, Numbers]:
    """Return the answers of all people, as if everyone answered every question."""
    age = np.clip(13 + rng.gamma(2.8, 4.8, RECORDS), 13, 84).round()
    first = np.clip(rng.normal(17, 2.7, RECORDS), 10, np.minimum(age, 32)).round()
    partners = 1.0 + rng.negative_binomial(2, 0.57, RECORDS)
    active = age - first
    smokes, hormones, iud = (_yes(rng, share) for share in (0.145, 0.64, 0.11))
    smoke_years = smokes * _years(rng, 8, active)
    hormone_years = hormones * _years(rng, 3.5, active)
    carrier = _yes(rng, 0.02 + 0.035 * partners)
    diseases = {name: carrier * _yes(rng, share) for name, share in DISEASES.items()}
    n_stds = np.sum(list(diseases.values()), axis=0)
    stds = (n_stds > 0) * 1.0
    # Nearly all people with a diagnosis have a disease. Their number is fixed.
    weights = (stds + 0.001) / (stds + 0.001).sum()
    diagnosed = np.zeros(RECORDS)
    number = RECORDS - round(UNDIAGNOSED * RECORDS)
    diagnosed[rng.choice(RECORDS, number, replace=False, p=weights)] = 1
    since_first = np.clip(rng.exponential(6, RECORDS), 1, 22).round()
    dx_hpv = _yes(rng, 0.021)
    dx_cancer = _yes(rng, np.where(dx_hpv == 1, 0.85, 0.003))
    dx_cin = _yes(rng, 0.01)
    dx = ((dx_hpv + dx_cancer + dx_cin) > 0) * _yes(rng, 0.85)
    # The risk that a model should find; the three tests detect the outcome with errors.
    log_odds = (
        -3.5
        + 0.05 * (age - 27)
        + 0.12 * smoke_years
        + 0.15 * hormone_years
        + 1.4 * stds
        + 2.2 * dx_hpv
    )
    biopsy = _yes(rng, 1 / (1 + np.exp(-log_odds)))
    return {
        "age": age,
        "n_sex_partners": partners,
        "first_intercourse": first,
        "n_pregnancies": 1.0 * rng.poisson(age / 12),
        "smokes": smokes,
        "n_smoke_years": smoke_years,
        "n_pack_year": (smoke_years * rng.uniform(0.05, 0.8, RECORDS)).round(2),
        "hormonal_contra": hormones,
        "n_hormonal_contra_years": hormone_years,
        "iud": iud,
        "n_iud_years": iud * _years(rng, 4.5, active),
        "stds": stds,
        "n_stds": n_stds,
        **diseases,
        "stds_n_dx": diagnosed * (1 + _yes(rng, 0.05)),
        "stds_time_since_first_dx": since_first,
        "stds_time_since_last_dx": np.maximum(since_first - rng.poisson(0.3, RECORDS), 1),
        "dx_cancer": dx_cancer,
        "dx_cin": dx_cin,
        "dx_hpv": dx_hpv,
        "dx": dx,
        "hinselmann": _yes(rng, np.where(biopsy == 1, 0.45, 0.012)),
        "schiller": _yes(rng, np.where(biopsy == 1, 0.87, 0.032)),
        "citology": _yes(rng, np.where(biopsy == 1, 0.33, 0.032)),
        "biopsy": biopsy,
    }


def _yes(rng: np.random.Generator, share: float | Numbers) -> Numbers:
    return (rng.random(RECORDS) < share) * 1.0


def _years(rng: np.random.Generator, mean: float, longest: Numbers) -> Numbers:
    return np.clip(rng.exponential(mean, RECORDS), 0.1, np.clip(longest, 0.1, 37)).round(1)
