"""What the scripts share. Read in this order: artifacts, abi, chain, checks, params, record, roles, deployment."""
