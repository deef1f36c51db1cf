"""Bytes between machines: one port, two connections a pair, bounded queues."""
