"""The node as a program: settings, actions executed with asyncio, its HTTP API."""
