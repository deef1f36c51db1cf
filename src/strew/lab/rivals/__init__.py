"""Other ways to bring a file to many machines, run on the lab's bench beside strew.

Each is set up as well as it can be, waits until all of it is ready, and starts with the clock.
"""

from strew.lab.contender import Contender
from strew.lab.rivals.aria2_swarm import Aria2
from strew.lab.rivals.chain import Chain
from strew.lab.rivals.libtorrent_swarm import Libtorrent
from strew.lab.rivals.servers import Nginx, StrewServer

RIVALS: tuple[Contender, ...] = (Libtorrent(), Aria2(), Nginx(), StrewServer(), Chain())
"""In the order of the lab's table."""
