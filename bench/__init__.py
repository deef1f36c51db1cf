"""Benchmarks: `make bench`, or `python -m bench --help`. Never part of the installed package."""
