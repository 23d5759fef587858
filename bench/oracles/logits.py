"""What PyTorch and onnxruntime make of real images, for lib/model/testdata.

    python bench/oracles/logits.py efficientnet imagenet500.npz - lib/model/testdata/efficientnet-lite0.npz
    python bench/oracles/logits.py squeezenet imagenet500.npz - lib/model/testdata/squeezenet.npz
    python bench/oracles/logits.py cifar cifar10000.npz resnet20.safetensors lib/model/testdata/resnet20.npz
    python bench/oracles/logits.py vit imagenet2.npz - lib/model/testdata/vit-focus.npz
    python bench/oracles/logits.py u2netp - - lib/background/testdata/u2netp.npz

where bench/oracles/dump wrote the images: imagenet images.zip 1 500, cifar10 test.zip 1 10000 and imagenet
images.zip 200 2. Values are rounded to 14 bits of mantissa, 3e-5 of each, which halves the files.
"""
import glob
import os
import sys

import numpy as np
import torch

import torch_models

kind, image_file, weight_file, out = sys.argv[1:]
if kind != "u2netp":
    x, labels = torch_models.images(image_file)


def rounded(a):
    mantissa, exponent = np.frexp(np.asarray(a, np.float32))
    return np.ldexp(np.round(mantissa * 2**14) / 2**14, exponent).astype(np.float32)


MEAN, STD = np.float32([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1), np.float32([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1)

if kind == "u2netp":  # an orange disc on grey that grows brighter downwards, every eighth pixel of what is said of it
    import onnxruntime

    path = glob.glob(os.path.join(torch_models.ASSETS, "u2netp", "*.onnx"))[0]
    y, x = np.mgrid[:320, :320]
    disc = (y - 180) ** 2 + (x - 140) ** 2 < 70**2
    image = np.where(disc, np.float32([0.9, 0.5, 0.2])[:, None, None], (np.float32(0.2) + np.float32(0.3) * y.astype(np.float32) / np.float32(320)))
    session = onnxruntime.InferenceSession(path)
    output = session.run(None, {session.get_inputs()[0].name: (image[None].astype(np.float32) - MEAN) / STD})[0]
    np.savez_compressed(out, output=rounded(output[0, 0, ::8, ::8]))
    print(output.shape, output.min(), output.max(), output[0, 0][disc].mean(), output[0, 0][~disc].mean())
elif kind == "vit":
    import onnxruntime

    path = glob.glob(os.path.join(torch_models.ASSETS, "vit-focus", "*.onnx"))[0]
    output = onnxruntime.InferenceSession(path).run(None, {"input_image": (x.numpy() - MEAN) / STD})[0]
    np.savez_compressed(out, output=rounded(output))
    print(output.shape, output.min(), output.max())
else:
    model = {
        "efficientnet": torch_models.efficientnet_lite0,
        "squeezenet": torch_models.squeezenet,
        "cifar": lambda: torch_models.cifar_resnet(weight_file),
    }[kind]()
    with torch.no_grad():
        logits = torch.cat([model(x[i : i + 50]) for i in range(0, len(x), 50)]).numpy()
    print("top-1", (logits.argmax(1) == labels).mean(), "largest logit", np.abs(logits).max())
    if kind == "cifar":
        np.savez_compressed(out, predicted=logits.argmax(1).astype(np.int64), logits=rounded(logits[::50]))
    else:
        np.savez_compressed(out, logits=rounded(logits))
