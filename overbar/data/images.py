"""Pictures in files as arrays: one of them, or a folder with a folder for each class.

Pillow reads the files; it is wanted when the first one is opened, and not before.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from overbar.errors import DataError, FileError, MissingPackageError

__all__ = ["read_image", "image_folder"]

_ENDINGS = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
_MODES = {1: "L", 3: "RGB"}


def read_image(
    path: str | os.PathLike, size: tuple[int, int] | None = None, channels: int = 3
) -> np.ndarray:
    """The pixels of a picture, from 0 (black) to 1; brought to `size` (height, width) if given.

    It is turned as its EXIF record says it is to be seen.

    Shapes:  float32 (channels, height, width); 3 channels are red, green, blue, 1 is grey
    Raises:  MissingPackageError without Pillow, FileError for what is no picture.
    """
    if channels not in _MODES:
        raise DataError(f"read_image: channels={channels}", want="3 for colours or 1 for grey")
    pillow, ops = _pillow()
    path = Path(path)
    try:
        with path.open("rb") as file, pillow.open(file) as image:
            image = ops.exif_transpose(image).convert(_MODES[channels])
            if size is not None:
                image = image.resize((size[1], size[0]), pillow.Resampling.BILINEAR)
            pixels = np.asarray(image, np.float32) / 255
    except (pillow.UnidentifiedImageError, pillow.DecompressionBombError) as error:
        raise FileError(f"{path} is not a picture that can be read: {error}") from None
    except (OSError, SyntaxError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk, not what is on it
        raise FileError(f"{path}: this picture is damaged: {error}") from None
    return np.ascontiguousarray(pixels.reshape(*pixels.shape[:2], channels).transpose(2, 0, 1))


def image_folder(
    path: str | os.PathLike, size: tuple[int, int] | None = None, channels: int = 3
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """All pictures of a folder that has a folder for each class: (X, y, classes).

    Classes are in the alphabet's order, and the pictures of each too. What does not have the name
    of a picture is passed over. Without `size` all pictures must have the same one.

    Shapes:  X float32 (N, channels, height, width), y int64 (N,), `classes[y[i]]` is a folder
    Raises:  DataError if there is no picture, or if their sizes differ; and as `read_image`.
    """
    folders = sorted(p for p in Path(path).iterdir() if p.is_dir() and p.name[0] != ".")
    found = [(y, p) for y, folder in enumerate(folders) for p in _pictures(folder)]
    if not found:
        raise DataError(
            f"{path}: there are no pictures in its folders",
            want=f"a folder for each class, with files {', '.join(_ENDINGS)}",
        )
    images = [read_image(p, size, channels) for _, p in found]
    other = next((i for i, image in enumerate(images) if image.shape != images[0].shape), None)
    if other is not None:
        raise DataError(
            f"{path}: the pictures differ in size",
            got={str(found[i][1].relative_to(path)): _size(images[i]) for i in (0, other)},
            hint="size=(height, width) brings them to one",
        )
    return (
        np.stack(images),
        np.array([y for y, _ in found], np.int64),
        [folder.name for folder in folders],
    )


def _pictures(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in _ENDINGS)


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]} x {image.shape[2]}"


def _pillow() -> tuple[Any, Any]:
    try:
        from PIL import Image, ImageOps  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise MissingPackageError(
            "reading pictures needs Pillow", hint="pip install 'overbar[images]'"
        ) from None
    return Image, ImageOps
