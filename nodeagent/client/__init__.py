"""What a requester does: plan a job, quote it, post it, wait, fetch and verify its results.

Pure: ``inputs`` (tasks from arrays), ``odds`` (what a committee promises), ``quote`` (money and time),
``progress`` (where a job stands). The rest talks to the chain, to content sources or to the Executor.
"""
