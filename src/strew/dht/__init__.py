"""Where to ask when nobody is known: a distributed hash table of providers, without any IO."""
