"""The definitions of the project: Dagster loads every module of this folder."""
