"""Rotated and rolled images by SciPy and NumPy as in Ovadia et al., NeurIPS 2019, for lib/perturb.

    loupe fetch mnist
    pip install scipy
    python bench/oracles/rotate.py FOLDER_OF_mnist/t10k-images-idx3-ubyte.gz lib/perturb/testdata/rotate.npz

Writes two digits, and two coloured images of noise that are not square, with what becomes of them: float32, [angle, image, H, W, C].
"""
import gzip
import sys

import numpy as np
import scipy.ndimage

opened = gzip.open if sys.argv[1].endswith(".gz") else open
with opened(sys.argv[1]) as f:
    f.read(16)
    digits = np.frombuffer(f.read(2 * 28 * 28), np.uint8).reshape(2, 28, 28, 1)
noise = np.random.default_rng(1).integers(0, 256, (2, 15, 12, 3), np.uint8)


def rotate(images, degrees):
    height, width = images.shape[1:3]
    turned = scipy.ndimage.rotate(images, degrees, axes=[-2, -3])
    # The middle, with zeros where an oblong image was turned away.
    turned = np.pad(turned, [(0, 0), (height, height), (width, width), (0, 0)])
    top = (turned.shape[1] - 2 * height) // 2 - height // 2 + height
    left = (turned.shape[2] - 2 * width) // 2 - width // 2 + width
    return turned[:, top:top + height, left:left + width]


degrees = np.array([*range(15, 181, 15), -37.5, 90, 270, 400])
rolls = np.array([2, 26, -3])
arrays = {"degrees": degrees, "rolls": rolls}
for name, images in [("digits", digits), ("noise", noise)]:
    x = images.astype(np.float32) / 255
    arrays[name] = images
    arrays[name + "_rotated"] = np.stack([rotate(x, d) for d in degrees]).astype(np.float32)
    arrays[name + "_rolled"] = np.stack([np.roll(x, r, axis=-2) for r in rolls])
np.savez_compressed(sys.argv[2], **arrays)
