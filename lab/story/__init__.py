"""One appeal, told step by step: nine agents, two of which lie alike (``make demo APPEAL=1``)."""
