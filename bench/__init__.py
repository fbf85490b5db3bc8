"""Measurements. Each module prints JSON and writes it under ``build/bench``; none gates on wall time."""
