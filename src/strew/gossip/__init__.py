"""Who is alive, what was published, who holds what: told from node to node, without a centre."""
