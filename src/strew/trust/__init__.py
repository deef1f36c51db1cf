"""Who may give names: keys, what they sign, and whose signatures are believed."""
