"""Project XML (CDISC ODM): the structure and the records, read and written.

In the order of use: `reader` and `structure_reader`, or `writer` and `structure_writer`. Imports
`redcap_dagster.project.model` and what that imports.
"""
