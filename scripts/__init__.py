"""Ape scripts: ``ape run deploy``, ``ape run admin``, ``ape run export_abi``."""
