"""How a task is executed: the executor process, the runtimes behind it, and the bytes an answer is made of.

Start at :class:`nodeagent.runtimes.host.Executor`; :mod:`.types` has the words, :mod:`.install` brings the
files. The key process uses those, :mod:`.tensors` and :mod:`.inputs`. Everything that parses a stranger's
bytes (`model`, `shapes`, `answer`, `native`) is imported by :mod:`.executor` in its own process only.
"""
