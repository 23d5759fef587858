"""What PyTorch and onnxruntime make of real images, for lib/model/testdata.

    python bench/oracles/logits.py efficientnet imagenet500.npz - lib/model/testdata/efficientnet-lite0.npz
    python bench/oracles/logits.py squeezenet imagenet500.npz - lib/model/testdata/squeezenet.npz
    python bench/oracles/logits.py cifar cifar10000.npz resnet20.safetensors lib/model/testdata/resnet20.npz
    python bench/oracles/logits.py vit imagenet2.npz - lib/model/testdata/vit-focus.npz

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
x, labels = torch_models.images(image_file)


def rounded(a):
    mantissa, exponent = np.frexp(np.asarray(a, np.float32))
    return np.ldexp(np.round(mantissa * 2**14) / 2**14, exponent).astype(np.float32)


if kind == "vit":
    import onnxruntime

    path = glob.glob(os.path.join(torch_models.ASSETS, "vit-focus", "*.onnx"))[0]
    mean, std = np.float32([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1), np.float32([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1)
    output = onnxruntime.InferenceSession(path).run(None, {"input_image": (x.numpy() - mean) / std})[0]
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
