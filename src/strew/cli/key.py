"""`strew key`: keys and certificates."""

from strew.cli.call import command_app
from strew.cli.certificates import add_commands

app = command_app("key", "Make a small CA, and the certificates of profile strict.")

add_commands(app)
