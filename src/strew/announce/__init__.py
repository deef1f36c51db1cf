"""Asking a centre for peers: both ends of one protocol, without any IO."""
