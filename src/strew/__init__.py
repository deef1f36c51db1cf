"""strew: peer-to-peer distribution of large files."""

__version__ = "0.1.0"
