"""Image files of the kinds that decoders differ on, and Pillow's pixels.

    python bench/oracles/images.py lib/data/testdata

writes images.zip, the files, and images.npz: of each file the pixels of convert("RGB"), turned upright ("NAME") and as stored ("NAME stored").
Needs Pillow with WebP.
"""
import io
import sys
import zipfile

import numpy as np
from PIL import Image, ImageOps

rng = np.random.default_rng(3)
files = {}


def smooth(height, width, channels=3):
    """Soft colours, which keep their values in lossy files."""
    coarse = Image.fromarray(rng.integers(0, 256, (4, 5, 3)).astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(coarse)
    if channels == 4:
        pixels = np.dstack([pixels, np.linspace(0, 255, height * width).reshape(height, width).astype(np.uint8)])
    return Image.fromarray(pixels)


def add(name, image, format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    files[name] = buffer.getvalue()


def turned(orientation):
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "maker", orientation
    return exif


black_and_white = np.zeros((16, 32, 3), np.uint8)
black_and_white[:, 16:] = 255
add("range.webp", Image.fromarray(black_and_white), "WEBP", quality=90)
add("odd.webp", smooth(21, 33), "WEBP", quality=80)
add("even.webp", smooth(24, 18), "WEBP", quality=50)
add("thin.webp", smooth(1, 7), "WEBP", quality=90)
add("alpha.webp", smooth(19, 26, 4), "WEBP", quality=80)
add("lossless_alpha.webp", smooth(9, 10, 4), "WEBP", lossless=True, exact=True)
add("turned.webp", smooth(9, 14), "WEBP", quality=90, exif=turned(8))
add("turned.png", smooth(5, 8), "PNG", exif=turned(6))
for orientation in range(1, 9):
    add(f"turned{orientation}.jpg", smooth(24, 40), "JPEG", quality=98, subsampling=0, exif=turned(orientation))
palette = Image.fromarray((np.arange(48).reshape(6, 8) % 3).astype(np.uint8), "P")
palette.putpalette([255, 0, 0, 10, 200, 30, 0, 0, 255])
add("transparent.gif", palette, "GIF", transparency=0)
add("opaque.gif", palette, "GIF")
add("transparent.png", palette, "PNG", transparency=0)

golden = {}
with zipfile.ZipFile(sys.argv[1] + "/images.zip", "w") as z:
    for name, raw in files.items():
        z.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), raw)
        image = Image.open(io.BytesIO(raw))
        golden[name] = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        golden[name + " stored"] = np.asarray(image.convert("RGB"))
np.savez_compressed(sys.argv[1] + "/images.npz", **golden)
