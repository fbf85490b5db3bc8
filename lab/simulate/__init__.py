"""The protocol's rules at scale, without a chain: ``quorate simulate``.

The layout tells the story: ``draws`` (who computes a shard), ``kinds`` (what everybody answers), ``shards`` and
``courts`` (attempts, quorums, appeals, verdicts), ``books`` (money to the last unit), ``expected`` (what theory
says before a draw is made), ``run`` (one population over time), ``command`` (mix, sweep, files). ``record`` and
``replay`` play a recorded run of a real chain through the same draws and books.
"""
