"""Asset specs: `translator` makes the spec of one table, `asset_specs` those of a project.

Imports `catalog` and below.
"""
