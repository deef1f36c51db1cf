"""What nodes tell of their transfers for people to see, and what is made of it. Nothing here
decides who sends what to whom: a fleet whose telemetry is lost spreads files just as well."""
