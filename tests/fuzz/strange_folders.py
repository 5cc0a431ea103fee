"""Folders of images that a user may have: one odd thing each, among sound images of 12 x 12 pixels."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

Writer = Callable[[Path], None]


def _image(mode: str = "RGB", size: tuple[int, int] = (12, 12)) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def _exif(path: Path, orientation: int) -> None:
    image = _image()
    exif = image.getexif()
    exif[274] = orientation
    image.save(path.with_suffix(".jpg"), exif=exif)


def _text(path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "x" * 2**21, zip=True)
    _image().save(path, pnginfo=info)


def _truncated(path: Path) -> None:
    _image(size=(64, 64)).resize((12, 12)).save(path)
    path.write_bytes(path.read_bytes()[:-40])


def _bomb(path: Path) -> None:
    Image.new("1", (20000, 10000)).save(path)


#: What writes the odd image of a class, by what is odd in it.
IMAGES: dict[str, Writer] = {
    "broken": lambda path: path.write_bytes(b"no image") and None,
    "empty": lambda path: path.write_bytes(b"") and None,
    "truncated": _truncated,
    "rotated": lambda path: _exif(path, 6),
    "rotated as nobody knows": lambda path: _exif(path, 99),
    "transparent": lambda path: _image("RGBA").save(path),
    "grey and transparent": lambda path: _image("LA").save(path),
    "a palette": lambda path: _image("P").save(path),
    "a transparent palette": lambda path: _image("P").save(path, transparency=0),
    "one bit": lambda path: _image("1").save(path),
    "16 bit": lambda path: Image.fromarray(np.full((12, 12), 40000, np.uint16)).save(path),
    "floats": lambda path: Image.fromarray(np.zeros((12, 12), np.float32)).save(path.with_suffix(".tiff")),
    "CMYK": lambda path: _image("CMYK").save(path.with_suffix(".jpg")),
    "animated": lambda path: _image("P").save(path.with_suffix(".gif"), save_all=True, append_images=[_image("P")] * 2),
    "of another size": lambda path: _image(size=(5, 5)).save(path),
    "not square": lambda path: _image(size=(5, 12)).save(path),
    "of one pixel": lambda path: _image(size=(1, 1)).save(path),
    "a long text": _text,
    "a bomb": _bomb,
    "a wrong ending": lambda path: _image().save(path.with_suffix(".jpg"), "PNG"),
    "an ending in capitals": lambda path: _image().save(path.with_suffix(".PNG")),
    "hidden": lambda path: _image().save(path.with_name(".hidden.png")),
    "an odd name": lambda path: _image().save(path.with_name("größe [bold]\n.png")),
    "a dangling link": lambda path: path.symlink_to("nosuch.png"),
    "a folder": lambda path: path.mkdir(),
}


def _unreadable(path: Path) -> None:
    path.mkdir()
    path.chmod(0)


#: What is odd in the folder, made in the folder of the training split.
SPLITS: dict[str, Writer] = {
    "a class without images": lambda train: (train / "c").mkdir(),
    "a file among the classes": lambda train: (train / "notes.txt").write_text("x") and None,
    "a hidden class": lambda train: (train / ".cache").mkdir(),
    "an odd class": lambda train: (train / "größe [bold]\n").mkdir(),
    "a class that is a link": lambda train: (train / "c").symlink_to("a"),
    "a class in a circle": lambda train: (train / "c").symlink_to(".."),
    "an unreadable class": lambda train: _unreadable(train / "c"),
    "a class in test alone": lambda train: (train.parent / "test" / "c").mkdir(),
    "an empty val": lambda train: (train.parent / "val").mkdir(),
    "a val that is a file": lambda train: (train.parent / "val").write_text("x") and None,
}

#: Names of data sets that point at `folder`, or beside it.
REFERENCES = (
    "imagefolder:folder",
    "imagefolder:folder@8",
    "imagefolder:folder@1",
    "imagefolder:folder/",
    "imagefolder:./folder@0",
    "imagefolder:folder@-1",
    "imagefolder:folder@99999999999999",
    "imagefolder:folder@²",
    "imagefolder:folder@",
    "imagefolder:nosuch",
    "imagefolder:folder/train",
    "imagefolder:folder/train/a/0.png",
    "imagefolder:/proc",
    "imagefolder:" + "x" * 300,
)


def write(folder: Path, odd: str) -> None:
    """Write two classes of sound images under `folder`, with the odd thing called `odd`."""
    for split in ("train", "test"):
        for label in ("a", "b"):
            place = folder / split / label
            place.mkdir(parents=True)
            for number in range(6):
                _image().save(place / f"{number}.png")
    if odd in IMAGES:
        IMAGES[odd](folder / "train" / "b" / "odd.png")
    elif odd in SPLITS:
        SPLITS[odd](folder / "train")
