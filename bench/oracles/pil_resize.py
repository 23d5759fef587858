"""Resized real images by Pillow, for lib/data.

    loupe fetch foolbox-samples
    python bench/oracles/pil_resize.py FOLDER_OF_foolbox-samples lib/data/testdata/pil_resize.npz
"""
import sys
from pathlib import Path

import numpy as np
from PIL import Image

samples = Path(sys.argv[1])
photo = Image.open(samples / "imagenet_00_243.jpg").convert("RGB").crop((100, 120, 260, 240))
small = Image.open(sorted(samples.glob("cifar10_*.png"))[0]).convert("RGB")
out = {"photo": np.asarray(photo), "small": np.asarray(small)}
for name, image in [("photo", photo), ("small", small)]:
    for kind, method in [("bilinear", Image.Resampling.BILINEAR), ("bicubic", Image.Resampling.BICUBIC)]:
        for height, width in [(57, 80), (13, 20), (150, 111)]:
            out[f"{name}_{kind}_{height}_{width}"] = np.asarray(image.resize((width, height), method))
np.savez_compressed(sys.argv[2], **out)
