"""The models of lib/model, as PyTorch runs them.

efficientnet_lite0 is the package efficientnet-lite-pytorch; squeezenet is torchvision's squeezenet1_1 with
the Keras weights transposed into it; cifar_resnet is written here of PyTorch's layers. Each takes images
[N, 3, H, W] in 0..1.
"""
import glob
import math
import os
import pickle

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

torch.set_num_threads(2)
ASSETS = os.path.join(os.environ.get("LOUPE_CACHE", os.path.expanduser("~/.cache/loupe")), "assets")


class Normalized(nn.Module):
    def __init__(self, net, mean, std, bgr=False):
        super().__init__()
        self.net, self.mean, self.std, self.bgr = net, mean, std, bgr

    def forward(self, x):
        mean, std = (torch.tensor(v, dtype=x.dtype).view(1, 3, 1, 1) for v in (self.mean, self.std))
        x = (x - mean) / std
        return self.net(x.flip(1) if self.bgr else x)


def efficientnet_lite0():
    from efficientnet_lite_pytorch import EfficientNet

    path = glob.glob(os.path.join(ASSETS, "efficientnet-lite0", "*.pth"))[0]
    net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path)
    return Normalized(net, [127 / 255] * 3, [128 / 255] * 3).eval()


def squeezenet():
    from torchvision.models import squeezenet1_1

    with open(os.path.join(ASSETS, "squeezenet", "squeezenet_weights.pkl"), "rb") as f:
        weights = pickle.load(f)
    net = squeezenet1_1(weights=None)
    fires = [3, 4, 6, 7, 9, 10, 11, 12]
    places = {"conv1": net.features[0], "conv10": net.classifier[1]}
    for number, place in zip(range(2, 10), fires):
        for part in ("squeeze1x1", "expand1x1", "expand3x3"):
            places[f"fire{number}/{part}"] = getattr(net.features[place], part.replace("squeeze1x1", "squeeze"))
    assert set(places) == set(weights)
    with torch.no_grad():
        for name, module in places.items():
            kernel, bias = weights[name]
            module.weight.copy_(torch.from_numpy(np.transpose(kernel, (3, 2, 0, 1)).copy()))
            module.bias.copy_(torch.from_numpy(bias))
    for module in net.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return Normalized(net, [123.68 / 255, 116.779 / 255, 103.939 / 255], [1 / 255] * 3, bgr=True).eval()


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()  # captum's hooks want a module for each place
        self.stride, self.more = stride, outputs - inputs

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        shortcut = x[:, :, :: self.stride, :: self.stride]
        return self.relu2(y + F.pad(shortcut, (0, 0, 0, 0, self.more // 2, self.more // 2)))


class ResNet(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu1 = nn.ReLU()
        widths = [16, 16, 32, 64]
        for stage in (1, 2, 3):
            first = Block(widths[stage - 1], widths[stage], 1 if stage == 1 else 2)
            rest = [Block(widths[stage], widths[stage], 1) for _ in range(blocks - 1)]
            setattr(self, f"layer{stage}", nn.Sequential(first, *rest))
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))


def cifar_resnet(path):
    from safetensors.torch import load_file

    weights = load_file(path)
    net = ResNet(sum(k.startswith("layer1.") and k.endswith(".conv1.weight") for k in weights))
    net.load_state_dict(weights)
    return Normalized(net, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]).eval()


def images(path):
    """The images that bench/oracles/dump wrote, as [N, 3, H, W], and their labels."""
    data = np.load(path)
    x = data["x"].reshape(data["shape"])
    return torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(), data["labels"]
