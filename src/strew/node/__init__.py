"""Joining swarms and sources of peers: the object both an agent and a simulator run."""

from strew.node.node import Node, Obtain
from strew.node.peers import PeerBook

__all__ = ["Node", "Obtain", "PeerBook"]
