"""Changed colours by torchvision, for lib/learn/testdata/colours.npz.

    python bench/oracles/colours.py lib/learn/testdata/colours.npz

Two images whose pixels are sines as in the test, in colour and grey, each with its own factors of brightness, contrast and saturation, in this
order. Needs torch 2.15.0, torchvision 0.29.2, numpy.
"""
import sys

import numpy as np
import torch
from torchvision.transforms import functional as F

x = (0.5 + 0.5 * np.sin(78.233 * np.arange(2 * 4 * 5 * 3))).astype(np.float32).reshape(2, 4, 5, 3)
golden = {}
for name, images in {"colour": x, "grey": x[..., :1]}.items():
    out = []
    for image, (brightness, contrast, saturation) in zip(images, [(0.6, 1.4, 0.3), (1.5, 0.7, 1.8)]):
        t = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)
        t = F.adjust_saturation(F.adjust_contrast(F.adjust_brightness(t, brightness), contrast), saturation)
        out.append(t.permute(1, 2, 0).numpy())
    golden[name] = np.stack(out)
np.savez_compressed(sys.argv[1], **golden)
print({k: v.ravel()[:5] for k, v in golden.items()})
