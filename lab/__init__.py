"""The attack lab: what cheating costs, tried out. Lives in a checkout, outside the installed package.

It needs the toolkit extra. ``lab.simulate`` plays the protocol's rules in this process at scale, without a chain.
"""
