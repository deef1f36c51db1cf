"""Real processes over shaped links on this machine: strew and its rivals, measured in turns."""
