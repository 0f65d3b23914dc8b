"""The definitions of the project: Dagster loads every module and YAML file of this folder."""
