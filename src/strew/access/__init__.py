"""Who may do what: the tables of routes and wire messages, tokens, joining, and budgets."""
