"""Agents that misbehave: the real ``nodeagent`` with one part replaced, started as ``python -m lab.agents.KIND run``.

Each module is one kind. ``plug`` replaces parts and starts the agent; ``answers`` has the wrong answers. Everything
else (keys, scanning, drawing, sealing, sending) is the code that honest nodes run.
"""
