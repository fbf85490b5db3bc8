"""The door to the chain.

- ``rpc``: JSON-RPC over HTTP, batched and retried; ``errors``: what can go wrong
- ``deployment``: where the contracts are; ``abi``, ``door``, ``doors`` and ``court``: typed reads, calldata, reverts by
  name
- ``events``, ``decoding``, ``scan``: logs from a stored cursor, across reorganisations
- ``headers``: the RLP that proves a seed
- ``outbox``: transactions that survive a restart
"""
