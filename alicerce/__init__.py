"""The composition root: the only package that sees gateway and services together.

It runs them (`supervise`), gives them a Postgres (`postgres`), databases and roles (`databases`) and keys (`keys`),
and is the command line behind the Makefile. What it generates lies in one ignored folder (`home`).
"""
