"""Asset specs: `translator` makes the spec of one table, `asset_specs` those of a project.

`spec_options` has what all of them share, `table_specs` is the result. Imports `catalog` and below.
"""
