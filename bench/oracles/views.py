"""Views of images by torchvision, for lib/learn/testdata/views.npz.

    python bench/oracles/views.py lib/learn/testdata/views.npz

Two images whose pixels are sines as in the test: turned hues, pieces brought to the image's size, blur, grey and solarised. Needs torch 2.15.0,
torchvision 0.29.2, numpy.
"""
import sys

import numpy as np
import torch
from torchvision.transforms import functional as F

h, w = 9, 7
x = (0.5 + 0.5 * np.sin(78.233 * np.arange(2 * h * w * 3))).astype(np.float32).reshape(2, h, w, 3)
x[1, :3] = x[1, :3, :, :1]  # some grey pixels
images = torch.from_numpy(x).permute(0, 3, 1, 2)
golden = {"images": x}


def keep(name, *each):
    golden[name] = np.ascontiguousarray(torch.stack([e.reshape(images.shape[1:]) for e in each]).permute(0, 2, 3, 1).numpy())


keep("hue", *(F.adjust_hue(i, by) for i, by in zip(images, [0.1, -0.35])))
keep("grey", *(F.rgb_to_grayscale(i, 3) for i in images))
keep("solarized", *(F.solarize(i, 0.5) for i in images))
pieces = [(2, 1, 5, 4), (0, 3, 9, 1)]  # top, left, height, width
keep("pieces", *(F.resized_crop(i, *p, [h, w], F.InterpolationMode.BILINEAR, antialias=True) for i, p in zip(images, pieces)))
keep("blur3", *(F.gaussian_blur(i, [3, 3], [s, s]) for i, s in zip(images, [0.4, 1.7])))
keep("blur5", *(F.gaussian_blur(i, [5, 5], [s, s]) for i, s in zip(images, [0.4, 1.7])))
np.savez_compressed(sys.argv[1], **golden)
print({k: v.ravel()[:4] for k, v in golden.items()})
