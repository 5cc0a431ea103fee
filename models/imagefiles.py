"""Image files as square RGB images of one size, decoded when they are needed."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image, ImageOps

from .augmentation import Box, centre_box, random_box
from .errors import InputError, first_line

#: Streamed images that are resized are evaluated on their middle: shorter side to 256, then 224 x 224 (Krizhevsky et
#: al. 2012).
EVALUATION_MARGIN = 256 / 224

#: What shows through where an image is transparent, as on a page.
BACKGROUND = "white"


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Image files that stand for uint8 (N, 3, size, size): as a viewer shows them, upright, on a white page.

    `names` are paths below `root`, an absolute path, as bytes in one array (N,): a million strings would be copied
    into every worker. `exact` refuses images of another size, which are else cropped to a square and resized.
    """

    root: str
    names: np.ndarray
    size: int
    exact: bool = False

    @classmethod
    def of(cls, root: str | os.PathLike[str], names: Iterable[str], size: int, exact: bool = False) -> "ImageFiles":
        """Return the files called `names`, strings, below `root`."""
        return cls(os.path.abspath(root), np.array([os.fsencode(name) for name in names], dtype=bytes), size, exact)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, rows: torch.Tensor) -> "ImageFiles":
        """Return the files of `rows`, in that order."""
        return replace(self, names=self.names[rows.cpu().numpy()])

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape of the decoded images."""
        return len(self), 3, self.size, self.size

    def path(self, row: int) -> str:
        """Return the absolute path of the file in `row`."""
        return os.path.join(self.root, os.fsdecode(self.names[row]))

    def read(self, row: int, box: Callable[[int, int], Box] = centre_box, flip: bool = False) -> np.ndarray:
        """Decode the file in `row`: the part that `box` chooses by width and height, as uint8 (3, size, size).

        Raises `InputError` that names the file.
        """
        path = self.path(row)
        with _opened(path) as image:
            # Before the pixels are decoded: a small file can declare a huge image.
            if self.exact and image.size != (self.size, self.size):
                raise InputError(
                    f"{path}: is {_pixels(image)}, the first image {self.size} x {self.size}; "
                    f"resize it, or have all resized by imagefolder:PATH@SIZE"
                )
            _turn_upright(image)
            chosen = box(*image.size)
            try:
                image = _rgb(image).resize((self.size, self.size), Image.Resampling.BILINEAR, chosen)
            except Exception as error:
                raise InputError(f"{path}: broken image ({first_line(error)}); replace or remove it") from error
        pixels = np.asarray(image)
        return (pixels[:, ::-1] if flip else pixels).transpose(2, 0, 1)

    def decode(self) -> torch.Tensor:
        """Decode the middle of all files into memory, on as many threads as torch uses. Raises as `read` does."""
        images = np.empty(self.shape, dtype=np.uint8)

        def fill(rows: range) -> None:
            for row in rows:
                images[row] = self.read(row)

        pieces = [range(len(self))[start : start + 64] for start in range(0, len(self), 64)]
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            # Leaving the loop by an exception cancels what has not begun.
            for _ in pool.map(fill, pieces):
                pass
        return torch.from_numpy(images)

    def stream(
        self, batches: Sequence[slice], augment: str | None = None, seed: int = 0, pinned: bool = False
    ) -> Iterator[torch.Tensor]:
        """Yield the decoded files of each slice in turn, uint8, from as many worker processes as torch has threads.

        `augment` takes a random part of each image and, where it asks for that, flips half of them, as a function of
        `seed` and of the image's position among the files alone. Raises as `read` does.
        """
        loader = torch.utils.data.DataLoader(
            _Reader(self, augment, seed),
            sampler=batches,
            batch_size=None,
            num_workers=min(torch.get_num_threads(), len(batches)),
            # Its own, because the loader draws a seed for its workers, which nothing here uses.
            generator=torch.Generator(),
            pin_memory=pinned,
        )
        for images in loader:
            if isinstance(images, InputError):
                raise images
            yield images


@dataclass(frozen=True)
class _Reader(torch.utils.data.Dataset[torch.Tensor | InputError]):
    """The work of a worker process: it decodes the images of a batch."""

    files: ImageFiles
    augment: str | None
    seed: int

    def __getitem__(self, batch: slice) -> torch.Tensor | InputError:
        rows = range(len(self.files))[batch]
        try:
            return torch.from_numpy(np.stack([self._image(row) for row in rows]))
        except InputError as error:
            # Returned, because the loader turns what is raised here into pages of traceback.
            return error

    def _image(self, row: int) -> np.ndarray:
        if self.augment is None:
            margin = 1.0 if self.files.exact else EVALUATION_MARGIN
            return self.files.read(row, lambda width, height: centre_box(width, height, margin))
        generator = np.random.default_rng([self.seed, row])
        flip = self.augment == "crop-and-flip" and generator.random() < 0.5
        return self.files.read(row, lambda width, height: random_box(width, height, generator), flip)


def side(path: str) -> int:
    """Return the width of the square image at `path`. Raises `InputError` for one that is broken or not square."""
    with _opened(path) as image:
        if image.width != image.height:
            raise InputError(
                f"{path}: is {_pixels(image)}; images must be square: have them cropped and resized by "
                f"imagefolder:PATH@SIZE, for example @{min(image.size)}"
            )
        return image.width


def _opened(path: str) -> Image.Image:
    try:
        return Image.open(path)
    except Exception as error:
        raise InputError(f"{path}: not a readable image ({first_line(error)}); replace or remove it") from error


def _turn_upright(image: Image.Image) -> None:
    """Turn the image as the EXIF data of its camera say, in place; data that cannot be read say nothing."""
    # Pixels that cannot be read are told where they are needed.
    with contextlib.suppress(Exception):
        ImageOps.exif_transpose(image, in_place=True)


def _rgb(image: Image.Image) -> Image.Image:
    """Return the image on the background, with 8 bits a channel; of 16 bits the higher 8 are kept."""
    if image.mode in ("I", "F"):
        raise ValueError(f"pixels of mode {image.mode} have no range; save it with 8 or 16 bits a channel")
    if image.mode.startswith("I;16"):
        # PIL would make white of every value above 255.
        pixels = np.asarray(image)
        if "transparency" in image.info:
            pixels = np.where(pixels == image.info["transparency"], 0xFFFF, pixels)
        return Image.fromarray((pixels >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        # The colours of pixels that nobody sees are often leftovers, and may even tell the class.
        page = Image.new("RGBA", image.size, BACKGROUND)
        image = Image.alpha_composite(page, image.convert("RGBA"))
    return image.convert("RGB")


def _pixels(image: Image.Image) -> str:
    return f"{image.width} x {image.height} pixels"
