"""Quorate: node agent and requester client for a market of verified compute."""

__version__ = "0.1.0"
