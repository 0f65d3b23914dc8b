"""Project XML (CDISC ODM): the structure and the records, read and written.

In the order of use: `reader`, `writer`, each with the structure in a module of its own. Imports
`redcap_dagster.project.model` and what that imports.
"""
