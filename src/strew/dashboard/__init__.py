"""The dashboard: a page that shows what the API of its own process tells, and its files."""
