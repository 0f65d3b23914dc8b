"""The rules of data quality: what each one finds in the rows of an instrument."""

from redcap_dagster.tables.quality.findings import RuleFindings

__all__ = ["RuleFindings"]
