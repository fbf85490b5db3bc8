"""The agent at work. Read in this order:

- ``world``: what the chain's events say; ``draws`` and ``lottery``: which shards are this node's
- ``lifecycle``: ``decide(state, facts, now)``, the whole behaviour as one pure function
- ``settling``, ``claims`` and ``reporting``: what follows from what was revealed; ``settler`` and ``reporter`` send it
- ``cases`` and ``appeals``: what the Court did, and ``decide_appeal``; ``courtroom`` acts on it
- ``ledger``: SQLite: events, results, sealed batches; ``appealbook``: own appeals, in the same file
- ``bench``, ``compute``: fetch and run, off the chain loop
- ``agent``: the loop that ties them to the chain; ``hands`` carries out what was decided
"""
