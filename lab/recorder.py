from pathlib import Path


def write_record(path: Path, net: object, outcome: object) -> None: ...
