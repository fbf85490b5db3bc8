"""The agent at work. Read in this order:

- ``world``: what the chain's events say; ``draws`` and ``lottery``: which shards are this node's
- ``lifecycle``: ``decide(state, facts, now)``, the whole behaviour as one pure function
- ``settling`` and ``reporting``: settle calls, claims and reports from what was revealed; ``settler`` sends them
- ``ledger``: SQLite: events, results, sealed batches; ``bench``, ``compute``: fetch and run, off the chain loop
- ``agent``: the loop that ties them to the chain; ``hands`` carries out what was decided
"""
