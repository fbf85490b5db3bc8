"""A whole network on one machine: a chain, the contracts, and node agents as real processes."""
