"""The tracker as a service: HTTP around announce.registry, and the state behind it."""
