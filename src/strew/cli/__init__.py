"""The command line: one small module per command, each imports its room when it runs."""
