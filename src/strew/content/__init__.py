"""WHAT is distributed: digests, manifests, cuts, bitfields. Pure values; no file is opened here."""
