"""ImageNet-C's corruptions by their authors' programs and by the PyPI package imagecorruptions, for lib/perturb.

    python bench/oracles/corruptions.py HENDRYCKS_ROBUSTNESS FOLDER_OF_foolbox-samples lib/perturb/testdata

HENDRYCKS_ROBUSTNESS is a checkout of hendrycks/robustness, whose ImageNet-C/create_c has make_imagenet_c.py and make_cifar_c.py. Needs imagecorruptions,
opencv-python-headless, wand and ImageMagick 6 (Debian: libmagickwand-6.q16-6).

Writes corruptions.npz: the images (20 of CIFAR-10, and a photograph of 224 x 224 pixels) and what all corruptions but the noises make
of them. There np.random is replaced by the generator Lcg, which the tests have too, begun anew for every image:
    cifar      [15, 5, 32, 32, 3], make_cifar_c.py
    imagenet   [15, 5, 28, 28, 3], make_imagenet_c.py, every eighth pixel
    elastic    [5, 28, 28, 3], elastic_transform of imagecorruptions, every eighth pixel
These are uint16, 16 to a level of 8 bits, for the programs round only when they write a file.
corruptions.csv, for the noises: mean absolute change and its standard deviation, of the 20 CIFAR-10 images over 50 draws, by either program.
"""
import functools
import os
import sys
import types
from pathlib import Path

import numpy as np
import scipy.ndimage
import skimage.data
import skimage.util
from PIL import Image
from skimage import filters

os.environ.setdefault("MAGICK_THREAD_LIMIT", "1")  # its threads wait for each other longer than an image takes

SEEDED = ["defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "snow", "frost", "fog", "brightness", "contrast", "elastic_transform", "pixelate",
          "jpeg_compression", "gaussian_blur", "spatter", "saturate"]
NOISES = ["gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise"]


class Lcg:
    """Numerical Recipes' generator of 32 bits; a normal number is the sum of twelve less six."""

    def __init__(self):
        self.state = np.uint64(1)

    def uniforms(self, n):
        out = np.empty(n)
        s = int(self.state)
        for i in range(n):
            s = (s * 1664525 + 1013904223) & 0xFFFFFFFF
            out[i] = s / 2**32
        self.state = np.uint64(s)
        return out

    def uniform(self, low=0.0, high=1.0, size=None):
        u = self.uniforms(1 if size is None else int(np.prod(size)))
        return low + (high - low) * (u[0] if size is None else u.reshape(size))

    def normal(self, loc=0.0, scale=1.0, size=None):
        return loc + scale * (self.uniforms(12 * int(np.prod(size))).reshape(-1, 12).sum(1) - 6).reshape(size)

    def randint(self, low, high=None, size=None):
        if high is None:
            low, high = 0, low
        n = 1 if size is None else int(np.prod(size))
        v = low + np.floor(self.uniforms(n) * (high - low)).astype(int)
        return int(v[0]) if size is None else v


def repair():
    """Newer releases have renamed what the programs call."""
    np.float_ = np.float64
    np.fromstring = np.frombuffer
    old = types.ModuleType("scipy.ndimage.interpolation")
    old.map_coordinates = scipy.ndimage.map_coordinates
    sys.modules["scipy.ndimage.interpolation"] = old
    try:
        import pkg_resources  # noqa: F401
    except ImportError:
        import importlib.util
        home = Path(importlib.util.find_spec("imagecorruptions").origin).parent
        stand_in = types.ModuleType("pkg_resources")
        stand_in.resource_filename = lambda _, name: str(home / name)
        sys.modules["pkg_resources"] = stand_in


def gaussian(x, sigma=1, multichannel=False, **more):
    return filters.gaussian(x, sigma=sigma, channel_axis=-1 if multichannel else None, **more)


def package():
    repair()
    from imagecorruptions import corruptions
    corruptions.gaussian = gaussian
    return corruptions.__dict__


def authors(create_c, program):
    """The functions of a program, without what it does at its end."""
    repair()
    os.chdir(create_c)  # for the photographs of frost
    text = (Path(create_c) / program).read_text().split("\nimport collections")[0]
    for line in ("import torchvision.datasets as dset", "import torchvision.transforms as trn", "import torchvision.models as models", "import torch.utils.model_zoo as model_zoo"):
        text = text.replace(line, "")
    space = {}
    exec(compile(text, program, "exec"), space)
    space["gaussian"] = gaussian
    if "fromarray" in text:  # Pillow has no mode there any more
        pil = space["PILImage"]
        space["PILImage"] = types.SimpleNamespace(fromarray=lambda a, mode=None: pil.fromarray(a), open=pil.open, BOX=pil.Resampling.BOX)
    return space


def seeded(function, image, severity):
    with_lcg = Lcg()
    names = ("normal", "uniform", "randint")
    kept = {n: getattr(np.random, n) for n in names}
    for n in names:
        setattr(np.random, n, getattr(with_lcg, n))
    try:
        return np.round(np.asarray(function(Image.fromarray(image), severity), dtype=float) * 16).astype(np.uint16)
    finally:
        for n in names:
            setattr(np.random, n, kept[n])


def main(robustness, samples, out):
    create_c, out = Path(robustness).resolve() / "ImageNet-C" / "create_c", Path(out).resolve()
    images = np.stack([np.array(Image.open(f).convert("RGB")) for f in sorted(Path(samples).glob("cifar10_*.png"))])
    photograph = np.array(Image.fromarray(skimage.data.astronaut()).resize((224, 224)))  # in the public domain

    cifar, imagenet, pypi = authors(create_c, "make_cifar_c.py"), authors(create_c, "make_imagenet_c.py"), package()
    severities = range(1, 6)
    small = np.stack([[seeded(cifar[name], images[0], s) for s in severities] for name in SEEDED])
    large = np.stack([[seeded(imagenet[name], photograph, s)[::8, ::8] for s in severities] for name in SEEDED])
    elastic = np.stack([seeded(pypi["elastic_transform"], photograph, s)[::8, ::8] for s in severities])
    np.savez_compressed(out / "corruptions.npz", images=images, photograph=photograph, cifar=small, imagenet=large, elastic=elastic)

    np.random.seed(0)
    # skimage draws impulses from a generator of its own, which np.random's seed does not reach.
    skimage.util.random_noise = functools.partial(skimage.util.random_noise, rng=np.random.default_rng(0))
    with open(out / "corruptions.csv", "w") as f:
        f.write("benchmark,corruption,severity,mean_abs_change,std_change\n")
        for benchmark, space in (("imagenet", pypi), ("cifar", cifar)):
            for name in NOISES:
                for s in severities:
                    change = np.stack([space[name](Image.fromarray(x), s) - x for _ in range(50) for x in images]) / 255
                    f.write(f"{benchmark},{name},{s},{np.abs(change).mean():.6f},{change.std():.6f}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
