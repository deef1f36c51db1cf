"""Chunks on disk: ingest, write-and-verify, read, install, keep and drop."""
