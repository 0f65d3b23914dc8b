"""Project XML (CDISC ODM): the structure and the records, read and written.

`reader` and `writer` are the entries. Imports `project.model` and below.
"""
