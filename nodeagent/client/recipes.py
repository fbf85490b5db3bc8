"""Named pre-processings of files: ``--as image:224x224:rgb:imagenet``, ``--as bytes:2048``.

A recipe is one line of text, recorded in the manifest with the library's release, so that anybody can make a task's
input again from its file. Arithmetic is single IEEE operations in float32, one after the other as written here.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nodeagent.client.inputs import Array, BadInputs
from nodeagent.errors import JobFault
from nodeagent.text import printable

MAX_SIDE, MAX_BYTES = 4_096, 1 << 24
MAX_PIXELS = 1 << 26
"""Of a picture before it is scaled: some hundred MB once it is decoded."""
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
"""Strangers' files choose their decoder by their first bytes; others of Pillow's run programs (EPS: Ghostscript)."""
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
"""Of ImageNet's red, green and blue, as torchvision's models have them; ``STD`` is their standard deviation."""
STD = np.array([0.229, 0.224, 0.225], np.float32)
KNOWN = "image:WIDTHxHEIGHT:rgb|gray:imagenet|unit|raw[:chw|hwc], bytes:COUNT[:DTYPE[:PAD]] (uint8, 0)"
_SIZE = re.compile(r"([1-9]\d{0,3})x([1-9]\d{0,3})")


class BadRow(JobFault):
    """One task cannot be made of its file or row: why, without which one it is."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """``text`` is the canonical spelling, ``software`` what it depends on; ``make`` gives one task from a file."""

    text: str
    software: str | None
    make: Callable[[Path], Array]


def parse_recipe(text: str) -> Recipe:
    """Raises BadInputs with what is understood."""
    kind, _, rest = text.partition(":")
    try:
        if kind == "image":
            return _image(rest.split(":"))
        if kind == "bytes":
            return _bytes(rest.split(":"))
    except (ValueError, TypeError, OverflowError) as error:
        raise BadInputs(f"--as {text}: {error}", hint=f"understood are {KNOWN}") from None
    raise BadInputs(f"--as {text}: there is no recipe {kind!r}", hint=f"understood are {KNOWN}")


def _image(parts: list[str]) -> Recipe:
    size = _SIZE.fullmatch(parts[0])
    if size is None or max(map(int, size.groups())) > MAX_SIDE:
        raise ValueError(f"{parts[0]!r} is no size such as 224x224, of at most {MAX_SIDE}")
    if len(parts) not in (3, 4):
        raise ValueError("an image needs size, colours and normalisation")
    (width, height), mode, norm = map(int, size.groups()), parts[1], parts[2]
    layout = parts[3] if len(parts) == 4 else "chw"
    for word, known in ((mode, ("rgb", "gray")), (norm, ("imagenet", "unit", "raw")), (layout, ("chw", "hwc"))):
        if word not in known:
            raise ValueError(f"{word!r} is none of {', '.join(known)}")
    if norm == "imagenet" and mode != "rgb":
        raise ValueError("imagenet is of rgb")
    pillow = _pillow()

    def make(path: Path) -> Array:
        return _normalised(_pixels(pillow, path, (width, height), mode), norm, layout)

    return Recipe(f"image:{width}x{height}:{mode}:{norm}:{layout}", f"pillow {pillow.__version__}", make)


def _pillow() -> Any:
    try:
        import PIL.Image
        import PIL.ImageOps
    except ImportError:
        raise BadInputs("images need Pillow, which is not installed", hint="pip install 'quorate[data]'") from None
    return PIL


def _pixels(pillow: Any, path: Path, size: tuple[int, int], mode: str) -> Array:
    """A picture turned as its camera says and scaled with bilinear filtering: uint8 [height, width, colours]."""
    try:
        with warnings.catch_warnings(action="ignore"), pillow.Image.open(path, formats=FORMATS) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise ValueError(f"{opened.width}x{opened.height} pixels, at most {MAX_PIXELS:,} in all are decoded")
            if opened.mode.startswith(("I", "F")):
                raise ValueError(f"more than 8 bits a colour (mode {opened.mode}): scale it to 8 first")
            turned = pillow.ImageOps.exif_transpose(opened).convert({"rgb": "RGB", "gray": "L"}[mode])
            pixels = np.asarray(turned.resize(size, pillow.Image.Resampling.BILINEAR), np.uint8)
    except Exception as error:  # what damaged pictures raise is of many trees
        raise BadRow(f"not a picture that can be read: {printable(str(error))[:200]}") from None
    return pixels.reshape(size[1], size[0], -1)


def _normalised(pixels: Array, norm: str, layout: str) -> Array:
    made: Array = pixels
    if norm != "raw":
        made = pixels.astype(np.float32) / np.float32(255)
    if norm == "imagenet":
        made = (made - MEAN) / STD
    return np.ascontiguousarray(made.transpose(2, 0, 1) if layout == "chw" else made)


def _bytes(parts: list[str]) -> Recipe:
    if not 1 <= len(parts) <= 3 or not parts[0].isdecimal() or not 1 <= int(parts[0]) <= MAX_BYTES:
        raise ValueError(f"bytes needs a count of 1 to {MAX_BYTES}, and at most a dtype and a number to pad with")
    count, dtype = int(parts[0]), np.dtype(parts[1] if len(parts) > 1 else "uint8")
    pad = int(parts[2]) if len(parts) > 2 else 0
    if dtype.kind not in "iuf" or dtype.itemsize > 8 or any(np.array(n).astype(dtype) != n for n in (pad, 255)):
        raise ValueError(f"{dtype} cannot hold bytes and {pad}")

    def make(path: Path) -> Array:
        try:
            with path.open("rb") as file:
                head = file.read(count)
        except OSError as error:
            raise BadRow(f"cannot be read: {error.strerror}") from None
        row: Array = np.full(count, pad, dtype)
        row[: len(head)] = np.frombuffer(head, np.uint8)
        return row

    return Recipe(f"bytes:{count}:{dtype.name}:{pad}", None, make)
