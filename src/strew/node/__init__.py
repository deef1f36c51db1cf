"""Joining swarms and sources of peers: the object both an agent and a simulator run."""

from strew.gossip.gossip import TrustChanged
from strew.node.news import Obtain, Published, PublishedHere, Remembered
from strew.node.node import Node
from strew.node.peers import PeerBook

__all__ = ["Node", "Obtain", "PeerBook", "Published", "PublishedHere", "Remembered", "TrustChanged"]
