"""The rules as pure functions: a mirror of the contracts' libraries and of every byte that leaves a machine.

Nothing here reads a file, a socket or a clock. ``docs/protocol.md`` states the same rules in words, and
``tests/vectors`` holds golden bytes that the Solidity and the Python side are both tested against.

The story, and where each step lives::

    post     manifest    what a job is: one canonical JSON document, named on chain by its sha256
             payout      what it costs: escrow of every shard, slot and fee
             jobword     the job's terms as one 256-bit word (event ``JobPosted``)
             epochs      when each attempt of each shard starts, commits, reveals and ends
             sortition   who computes it: seed, stream of words, seats, committee
    commit   results     a shard's answers: task results, chunk roots, task leaves, result tree
             leaves      a node's batch of an epoch: leaves, batch root, salted digest
    reveal   lanes       the word a node's ring slot holds before and after it opens
             manifest    where the result bytes are: the batch manifest
    settle   settlement  many shards in one call: entries, lanes, openings, and the record it leaves
             trees       the two kinds of Merkle tree, and proofs of one leaf or of a range
             payout      pay of a slot, fee of a call, buckets in which earnings mature
    appeal   jobword     the case about a shard: a job of its own, computed by more and other nodes
             sortition   who judges it: nobody of the appealed committee, no seat that is newer
             epochs      until when one may appeal, where a case stands, when members may claim
             payout      the bond, what is forfeited, and who gets it first
    final    receipts    the paths from one task's bytes to the root stored on chain

``types`` holds identifiers and enums, ``constants`` every number, ``keccak`` the hash, ``cids`` the two forms
of content identifier that manifests may name. Words that come from outside are parsed strictly and refused
with :class:`~nodeagent.protocol.types.Malformed` (a ``JobFault``); misuse by the caller raises
``ValueError``.
"""
