"""Measurements that print a table and write JSON: each compares two ways of doing one thing, paired in one
run. `tools/benchmark.py NAME` runs the module `NAME` of this folder."""
