"""The jail around untrusted work: no network, no key, no home, a read-only view of its runtime and payload.

Start at :mod:`.walls`, which chooses and starts; :mod:`.inside` is the first program in it; :mod:`.landlock` and
:mod:`.seccomp` are the walls a process builds around itself; :mod:`.attempts` tries to break out.
"""
