"""The same node in a virtual world: its clock, its network, its fleet, and older ways beside it."""
