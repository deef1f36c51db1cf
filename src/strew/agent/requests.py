"""What may be asked of a node over HTTP, as values; read strictly."""

from typing import Annotated

import msgspec

from strew.publication import ArtifactText, HostText, Port

SOURCES_MAX = 64
"""Nodes that a fetch may be told to ask; more are what a tracker is for."""


class FetchRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ask a node to fetch an artifact into its own folder (never to a path named here).

    `sources` are addresses to ask, IP literals, never names; with `only_sources` nobody else is.
    """

    artifact: ArtifactText
    sources: Annotated[tuple[tuple[HostText, Port], ...], msgspec.Meta(max_length=SOURCES_MAX)] = ()
    only_sources: bool = False
    install: bool = True
