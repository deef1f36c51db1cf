"""A fleet of real processes on this machine, and the ways to spread a file over it, measured."""
