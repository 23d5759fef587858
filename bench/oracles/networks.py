"""Networks of lib/networks as their authors and torchvision have them, for lib/networks/testdata/networks.json: names and shapes of the weights, how they are
drawn, and what comes out with weights and images that a formula gives, so that none need to be kept.

    pip install torch==2.15.0 torchvision==0.29.2 timm==1.0.31 jax==0.10.2 dm-haiku==0.0.17 chex==0.1.92
    python bench/oracles/networks.py AKAMASTER BEARPAW XTERNALZ JAX_PRIVACY BAGS COPRIORS UNET lib/networks/testdata/networks.json

The words in capitals are checkouts: akamaster/pytorch_resnet_cifar10, bearpaw/pytorch-classification, xternalz/WideResNet-pytorch, deepmind/jax_privacy
(of May 2022), wielandbrendel/bag-of-local-features-models, MadryLab/copriors, milesial/Pytorch-UNet.
"""
import importlib.util
import json
import os
import sys
import types

import numpy as np
import timm
import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision
from timm.layers import StdConv2d
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.segmentation.deeplabv3 import DeepLabHead, DeepLabV3

from hashed import hashed

akamaster, bearpaw, xternalz, jax_privacy, bags, copriors, unet, out_file = sys.argv[1:]


def source(*path):
    name = os.path.basename(path[-1])[:-3]
    spec = importlib.util.spec_from_file_location(name, os.path.join(*path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def formula(name, shape):
    u = 2 * hashed(name, int(np.prod(shape))).reshape(shape) - 1
    if name.endswith("running_mean"):
        w = 0.1 * u
    elif name.endswith("running_var"):
        w = 1 + 0.3 * u
    elif name.endswith("bias") or len(shape) == 3:
        w = 0.1 * u
    elif len(shape) == 1:
        w = 1 + 0.2 * u
    else:
        w = u * np.sqrt(4.5 / np.prod(shape[1:]))
    return w.astype(np.float32)


def images(n, side, channels=3):
    return hashed("images", n * side * side * channels).reshape(n, side, side, channels).astype(np.float32)


def rounded(values):
    return [float(f"{v:.8g}") for v in np.ravel(values)]


def drawn(w):
    """Mean, standard deviation and fourth moment over the square of the second."""
    w = np.asarray(w, np.float64)
    std = w.std()
    return [float(f"{v:.4g}") for v in [w.mean(), std, ((w - w.mean()) ** 4).mean() / std**4 if std > 0 else 0]]


def case(name, make, side, classes, gradient=False, batch=2):
    torch.manual_seed(1)
    net = make()
    weights = {k: v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
    golden = {"name": name, "side": side, "classes": classes, "batch": batch, "parameters": sum(p.numel() for p in net.parameters()),
              "shapes": {k: list(v.shape) for k, v in weights.items()}, "drawn": {k: drawn(v) for k, v in weights.items()}}
    net.load_state_dict({k: torch.from_numpy(formula(k, tuple(v.shape))) for k, v in weights.items()}, strict=False)
    x = torch.from_numpy(images(batch, side)).permute(0, 3, 1, 2)
    of = lambda y: (y["out"] if isinstance(y, dict) else y)
    last = lambda y: y.permute(0, 2, 3, 1) if y.ndim == 4 else y
    # In double precision, so that the figures have no rounding to speak of.
    net.double().eval()
    x = x.double()
    with torch.no_grad():
        y = last(of(net(x))).numpy()
    if y.ndim == 4:
        golden["every"] = 5  # of the rows and the columns
        y = y[:, ::5, ::5]
    golden["logits"] = rounded(y)
    if any(k.endswith("running_mean") for k in weights) or gradient:
        net.train()
        for m in net.modules():
            if isinstance(m, nn.Dropout):
                m.p = 0
            if isinstance(m, nn.BatchNorm2d):
                m.momentum = 0.1
        y = last(of(net(x)))
        golden["training"] = rounded(y.detach().numpy()[:, ::5, ::5] if y.ndim == 4 else y.detach().numpy())
        golden["statistics"] = {k: rounded(v.numpy()[:3]) for k, v in net.state_dict().items() if "running_" in k}
        if gradient:
            F.cross_entropy(y.reshape(-1, y.shape[-1]), torch.arange(y[..., 0].numel()) % classes).backward()
            golden["gradients"] = {k: rounded([p.grad.norm()])[0] for k, p in net.named_parameters()}
    print(name, golden["parameters"], golden["logits"][:3], flush=True)
    return golden


def cifar_stem(net):
    net.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(net.conv1.weight, mode="fan_out", nonlinearity="relu")
    net.maxpool = nn.Identity()
    return net


def standardized(net):
    for name, m in list(net.named_modules()):
        if type(m) is nn.Conv2d:
            parent = net.get_submodule(name.rpartition(".")[0])
            s = StdConv2d(m.in_channels, m.out_channels, m.kernel_size, m.stride, m.padding, m.dilation, bias=m.bias is not None)
            s.load_state_dict(m.state_dict())
            setattr(parent, name.rpartition(".")[2], s)
    return net


def private():
    """The network of De et al., in haiku, in double precision too."""
    for stub in "dill", "jaxline", "jaxline.utils":
        sys.modules.setdefault(stub, types.ModuleType(stub))
    sys.modules["jaxline"].utils = sys.modules["jaxline.utils"]
    sys.path.insert(0, jax_privacy)
    import haiku as hk
    import jax

    # The package's own __init__ files ask for much that is not needed here.
    at = "jax_privacy"
    for part in ["", ".src", ".src.training", ".src.training.image_classification", ".src.training.image_classification.models"]:
        m = types.ModuleType(at + part)
        m.__path__ = [os.path.join(jax_privacy, (at + part).replace(".", "/"))]
        sys.modules[at + part] = m
    from jax_privacy.src.training.image_classification.models import cifar

    net = hk.transform(lambda x: cifar.WideResNet()(x, False))
    x = images(2, 16)
    params = net.init(jax.random.PRNGKey(1), x)

    def named(module, leaf):
        module = module.split("/")[-1]
        leaf = {"w": "weight", "b": "bias", "scale": "weight", "offset": "bias"}.get(leaf, leaf)
        if module == "First_conv":
            return "conv1." + leaf
        if module == "Final_norm":
            return "bn1." + leaf
        if module == "Softmax":
            return "fc." + leaf
        stage = module.removeprefix("Block_")[0]
        rest = module.removeprefix("Block_")[1:]
        if rest == "_skip_norm":
            return f"block{stage}.layer.0.normShortcut.{leaf}"
        if rest == "_skip_conv":
            return f"block{stage}.layer.0.convShortcut.{leaf}"
        kind, block, which = rest.removeprefix("_").split("_")
        return f"block{stage}.layer.{block}.{'bn' if kind == 'norm' else 'conv'}{int(which) + 1}.{leaf}"

    shapes, stats, filled = {}, {}, {}
    for module, leaves in params.items():
        filled[module] = {}
        for leaf, w in leaves.items():
            name, w = named(module, leaf), np.asarray(w)
            turned = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[w.ndim]  # to PyTorch's order
            assert name not in shapes, name
            shapes[name] = [w.shape[i] for i in turned]
            stats[name] = drawn(w)
            filled[module][leaf] = np.transpose(formula(name, tuple(shapes[name])), np.argsort(turned))
    jax.config.update("jax_enable_x64", True)
    up = jax.tree_util.tree_map(lambda w: np.asarray(w, np.float64), filled)
    y = np.asarray(net.apply(up, None, x.astype(np.float64)))
    return {"name": "private WRN-16-4", "side": 16, "classes": 10, "batch": 2, "parameters": int(sum(np.prod(s) for s in shapes.values())), "shapes": shapes, "drawn": stats,
            "logits": rounded(y)}


def main():
    group = lambda c: nn.GroupNorm(16, c)
    tv = torchvision.models
    aka = source(akamaster, "resnet.py")
    pre = source(bearpaw, "models", "cifar", "preresnet.py")
    wide = source(xternalz, "wideresnet.py")
    bag = source(bags, "bagnets", "pytorchnet.py")
    cop = source(copriors, "models", "bagnet_custom.py")
    sys.path.insert(0, unet)
    from unet import UNet

    # Their last pooling is 8x8, for images of 32 pixels.
    cases = [
        case("ResNet-18", lambda: tv.resnet18(num_classes=1000), 48, 1000),
        case("ResNet-18 CIFAR", lambda: cifar_stem(tv.resnet18(num_classes=10)), 16, 10, gradient=True),
        case("ResNet-18 GroupNorm WS", lambda: standardized(cifar_stem(tv.resnet18(num_classes=10, norm_layer=group))), 16, 10, gradient=True),
        case("ResNet-50", lambda: tv.resnet50(num_classes=7), 48, 7),
        case("ResNet-20", aka.resnet20, 32, 10, gradient=True),
        case("ResNet-56", aka.resnet56, 16, 10),
        case("PreResNet-20", lambda: pre.preresnet(depth=20, num_classes=10), 32, 10, gradient=True),
        case("PreResNet-56", lambda: pre.preresnet(depth=56, num_classes=100, block_name="bottleneck"), 32, 100),
        case("WRN-16-4", lambda: wide.WideResNet(16, 10, 4), 32, 10, gradient=True),
        case("BagNet-9", lambda: bag.bagnet9(num_classes=10), 40, 10),
        case("BagNet-17", lambda: bag.bagnet17(num_classes=10), 40, 10),
        case("BagNet-33", lambda: bag.bagnet33(num_classes=10), 56, 10),
        case("small BagNet", lambda: cop.bagnetcustom32(10), 32, 10),
        case("thin BagNet", lambda: cop.BagnetCustom96Thin(nin=3, num_classes=10, input_size=48), 48, 10),
        case("ViT", lambda: timm.models.vision_transformer.VisionTransformer(img_size=16, patch_size=4, embed_dim=192, depth=12, num_heads=3, num_classes=10), 16, 10, gradient=True),
        case("U-Net", lambda: UNet(3, 4), 28, 4),
        case("DeepLab on ResNet-18", lambda: DeepLabV3(IntermediateLayerGetter(tv.resnet18(), {"layer4": "out"}), DeepLabHead(512, 5, (1, 2, 3))), 64, 5, gradient=True),
        case("DeepLab on ResNet-50", lambda: torchvision.models.segmentation.deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=3, aux_loss=None), 64, 3),
        private(),
    ]
    with open(out_file, "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n")


main()
