"""Which chunk, from whom, to whom: one artifact on one node, without input or output."""
