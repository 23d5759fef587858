"""ImageNet-C corruptions by the PyPI package imagecorruptions, for lib/perturb.

    loupe fetch foolbox-samples
    pip install imagecorruptions 'setuptools<80' pillow
    python bench/oracles/corruptions.py FOLDER_OF_foolbox-samples lib/perturb/testdata

Writes corruptions.npz (the corruptions without chance: corrupted CIFAR-10 images, float32 in 0..1,
[corruption, severity, image, 32, 32, 3]) and corruptions.csv (for those with chance: the mean absolute
change of the 20 CIFAR-10 images over 50 draws).
"""
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import filters
from imagecorruptions import corruptions as ic

# Newer releases of scikit-image have renamed an argument that the package still passes.
ic.gaussian = lambda x, sigma, multichannel: filters.gaussian(x, sigma=sigma, channel_axis=-1)

samples, out = Path(sys.argv[1]), Path(sys.argv[2])
files = sorted(samples.glob("cifar10_*.png"))
images = [np.array(Image.open(f).convert("RGB")) for f in files]

exact = [ic.gaussian_blur, ic.brightness, ic.contrast]
golden = np.stack([
    np.stack([np.stack([np.asarray(f(Image.fromarray(x), s)) / 255 for x in images[:2]]) for s in range(1, 6)])
    for f in exact
]).astype(np.float32)
np.savez_compressed(out / "corruptions.npz", images=np.stack(images).astype(np.uint8), golden=golden)

np.random.seed(0)
with open(out / "corruptions.csv", "w") as f:
    f.write("corruption,severity,mean_abs_change\n")
    for c in [ic.gaussian_noise, ic.shot_noise, ic.impulse_noise]:
        for s in range(1, 6):
            change = np.mean([np.abs(c(Image.fromarray(x), s) - x).mean() / 255 for _ in range(50) for x in images])
            f.write(f"{c.__name__},{s},{change:.6f}\n")
