"""Published networks by torchvision and timm, for lib/pretrained/testdata/pretrained.json.gz and lib/pretrained/names.json: names and shapes of the weights,
what comes out with weights and images that a formula gives, and the names that all networks of a family have.

    pip install torch==2.15.0 torchvision==0.29.2 timm==1.0.31
    python bench/oracles/pretrained.py lib/pretrained

Logits are computed in double precision.
"""
import gzip
import json
import re
import sys

import numpy as np
import timm
import torch
import torchvision

from hashed import hashed

folder = sys.argv[1]

# family, library, name, arguments
CASES = [
    ("ResNet", "torchvision", "resnet18", {}), ("ResNet", "torchvision", "resnet50", {}), ("ResNet", "torchvision", "resnext50_32x4d", {}),
    ("ResNet", "torchvision", "wide_resnet50_2", {}), ("ResNet", "timm", "resnet34", {}), ("ResNet", "timm", "resnet26", {}),
    ("ResNet", "timm", "seresnet18", {}), ("ResNet-D (timm)", "timm", "resnet10t", {}), ("ResNet-D (timm)", "timm", "resnet18d", {}),
    ("ResNet-D (timm)", "timm", "seresnext26d_32x4d", {}), ("ResNet-D (timm)", "timm", "ecaresnet26t", {}),
    ("VGG", "torchvision", "vgg11", {}), ("VGG (timm)", "timm", "vgg11_bn", {}),
    ("AlexNet", "torchvision", "alexnet", {}), ("SqueezeNet", "torchvision", "squeezenet1_0", {}), ("SqueezeNet", "torchvision", "squeezenet1_1", {}),
    ("DenseNet", "torchvision", "densenet121", {}),
    ("MobileNetV2", "torchvision", "mobilenet_v2", {}), ("EfficientNet or MobileNet (timm)", "timm", "mobilenetv2_100", {}),
    ("EfficientNet or MobileNet (timm)", "timm", "mobilenetv2_140", {}), ("EfficientNet or MobileNet (timm)", "timm", "mobilenetv2_035", {"in_chans": 1}),
    ("MobileNetV3", "torchvision", "mobilenet_v3_large", {}), ("MobileNetV3", "torchvision", "mobilenet_v3_small", {}),
    ("EfficientNet or MobileNet (timm)", "timm", "mobilenetv3_large_100", {}), ("EfficientNet or MobileNet (timm)", "timm", "tf_mobilenetv3_small_100", {}),
    ("EfficientNet", "torchvision", "efficientnet_b0", {}), ("EfficientNet", "torchvision", "efficientnet_b5", {}), ("EfficientNet", "torchvision", "efficientnet_v2_s", {}),
    ("EfficientNet or MobileNet (timm)", "timm", "efficientnet_b0", {}), ("EfficientNet or MobileNet (timm)", "timm", "efficientnet_b2", {}),
    ("EfficientNet or MobileNet (timm)", "timm", "tf_efficientnet_b0", {}), ("EfficientNet or MobileNet (timm)", "timm", "efficientnet_lite0", {}),
    ("EfficientNet or MobileNet (timm)", "timm", "tf_efficientnet_lite2", {}),
    ("ConvNeXt", "torchvision", "convnext_tiny", {}), ("ConvNeXt (timm)", "timm", "convnext_atto", {}), ("ConvNeXt (timm)", "timm", "convnext_tiny", {}),
    ("ConvNeXt (timm)", "timm", "convnextv2_atto", {}),
    ("ViT", "torchvision", "vit_b_32", {}), ("ViT (timm)", "timm", "vit_tiny_patch16_224", {}), ("ViT (timm)", "timm", "deit_tiny_distilled_patch16_224", {}),
    ("ViT (timm)", "timm", "deit3_small_patch16_224", {}),
    ("Swin", "torchvision", "swin_t", {}), ("Swin (timm)", "timm", "swin_tiny_patch4_window7_224", {}),
]
ALWAYS = {"squeezenet1_1", "mobilenet_v3_small", "tf_mobilenetv3_small_100", "convnextv2_atto", "deit_tiny_distilled_patch16_224", "mobilenetv2_035", "resnet10t"}


def formula(name, shape):
    u = 2 * hashed(name, int(np.prod(shape))).reshape(shape) - 1
    if name.endswith("running_mean"):
        w = 0.1 * u
    elif name.endswith("running_var"):
        w = 1 + 0.3 * u
    elif name.endswith(("bias", "token", "pos_embed", "pos_embedding", "bias_table")):
        w = 0.1 * u
    elif len(shape) == 1 or len(shape) == 3:
        w = 1 + 0.2 * u
    else:
        w = u * np.sqrt(4.5 / np.prod(shape[1:]))
    return w.astype(np.float32)


names, out = {}, []
for family, library, name, arguments in CASES:
    make = (lambda: torchvision.models.get_model(name, weights=None, **arguments)) if library == "torchvision" else (lambda: timm.create_model(name, **arguments))
    net = make()
    weights = {k: v for k, v in net.state_dict().items() if v.is_floating_point()}
    found = names.setdefault(family, set())
    if not found:
        found |= {re.sub(r"(?<=\.)\d+(?=\.)", "#", k) for k in weights}
    net.load_state_dict({k: torch.from_numpy(formula(k, tuple(v.shape))) for k, v in weights.items()}, strict=False)
    net.double().eval()
    side = net.default_cfg["input_size"][1] if library == "timm" and name.startswith(("vit", "deit", "swin")) else 64
    if library == "torchvision" and name.startswith(("vit", "swin")):
        side = 224
    if family.startswith("ResNet-D"):
        side = 72  # halved, it is odd soon
    if name.startswith(("alexnet", "vgg", "squeezenet")):
        side = 96
    channels = arguments.get("in_chans", 3)
    x = torch.from_numpy(hashed("images", 2 * side * side * channels).reshape(2, side, side, channels).astype(np.float32)).permute(0, 3, 1, 2).double()
    with torch.no_grad():
        y = net(x).numpy()
    out.append({"family": family, "library": library, "name": name, "side": side, "channels": channels, "always": name in ALWAYS,
                "shapes": {k: list(v.shape) for k, v in weights.items()}, "logits": [float(f"{v:.8g}") for v in y[:, ::37].ravel()]})
    print(library, name, len(weights), y.std(), out[-1]["logits"][:3], flush=True)

with gzip.GzipFile(folder + "/testdata/pretrained.json.gz", "wb", mtime=0) as f:
    f.write(("[\n" + ",\n".join(json.dumps(o, separators=(",", ":")) for o in out) + "\n]\n").encode())
with open(folder + "/names.json", "w") as f:
    f.write("{\n" + ",\n".join(json.dumps(k) + ": " + json.dumps(sorted(v), separators=(",", ":")) for k, v in sorted(names.items())) + "\n}\n")
