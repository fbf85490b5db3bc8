"""Command lines: parse, call, print. Heavy imports happen inside commands, so that `--help` is quick."""
