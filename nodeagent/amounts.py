"""Token amounts as people read them. Everywhere else they are integers in their token's smallest unit."""

from __future__ import annotations


def whole(amount: int, decimals: int) -> str:
    """An amount in whole tokens, exactly."""
    sign, digits = ("-", -amount) if amount < 0 else ("", amount)
    units, rest = divmod(digits, 10**decimals)
    fraction = f"{rest:0{decimals}d}".rstrip("0") if decimals else ""
    return f"{sign}{units}.{fraction}" if fraction else f"{sign}{units}"


def priced(amount: int, token: tuple[str, int]) -> str:
    """An amount in whole tokens with the symbol; ``token`` is (symbol, decimals)."""
    symbol, decimals = token
    return f"{whole(amount, decimals)} {symbol}"
