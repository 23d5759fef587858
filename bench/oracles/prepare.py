"""Photographs prepared for networks by torchvision and Pillow, for lib/data and lib/model.

    loupe fetch foolbox-samples
    python bench/oracles/prepare.py FOLDER_OF_foolbox-samples lib/data/testdata/prepare.npz

The sides are odd, so that what is cut off is no whole number on each side, and a longer side comes to no whole number of pixels.
"""
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

photo = Image.open(Path(sys.argv[1]) / "imagenet_00_243.jpg").convert("RGB")
out = {}
for name, box, resize, crop in (("wide", (100, 120, 231, 217), 57, (50, 48)), ("tall", (140, 60, 233, 190), 61, (54, 55)), ("square", (90, 90, 191, 191), 48, (41, 43))):
    image = photo.crop(box)
    out[name] = np.asarray(image)
    out[name + "_size"] = np.array([resize, *crop])
    out[name + "_resized"] = np.asarray(Resize(resize, InterpolationMode.BILINEAR)(image))
    out[name + "_prepared"] = np.asarray(Compose([Resize(resize, InterpolationMode.BICUBIC), CenterCrop(crop)])(image))
    out[name + "_grey"] = np.asarray(image.convert("L"))
    print(name, image.size, out[name + "_resized"].shape, out[name + "_prepared"].shape)
np.savez_compressed(sys.argv[2], **out)
