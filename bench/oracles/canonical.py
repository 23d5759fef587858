"""The models of torch_models as zennit wants them: every operation that takes a rule is a module.

zennit's hooks see modules only, so the functional ReLUs, sums and means of the models become modules here; nothing
that they compute changes. Batch normalisations are merged into the convolutions by zennit's canonizers. load returns the
network without its normalisation, a function that normalises, the images, and a function that turns relevance
[N, 3, H, W] of the normalised images into [N, H, W, 3] RGB.
"""
import torch
from torch import nn
from zennit.canonizers import CompositeCanonizer, NamedMergeBatchNorm, SequentialMergeBatchNorm
from zennit.layer import Sum

import torch_models


def residual(module):
    def forward(x):
        y = module.bn2(module.conv2(module.relu1(module.bn1(module.conv1(x)))))
        shortcut = x[:, :, :: module.stride, :: module.stride]
        shortcut = nn.functional.pad(shortcut, (0, 0, 0, 0, module.more // 2, module.more // 2))
        return module.relu2(module.sum(torch.stack([shortcut, y], dim=-1)))

    module.relu1, module.relu2, module.sum = nn.ReLU(), nn.ReLU(), Sum()
    module.forward = forward


def cifar(net):
    def forward(x):
        x = net.relu(net.bn1(net.conv1(x)))
        x = net.layer3(net.layer2(net.layer1(x)))
        return net.linear(torch.flatten(net.pool(x), 1))

    for module in list(net.modules()):
        if isinstance(module, torch_models.Block):
            residual(module)
    net.relu, net.pool = nn.ReLU(), nn.AdaptiveAvgPool2d(1)
    net.forward = forward
    return SequentialMergeBatchNorm()


def mobile(block):
    expands = hasattr(block, "_expand_conv")
    args = block._block_args
    skips = block.id_skip and args.stride == 1 and args.input_filters == args.output_filters

    def forward(inputs, drop_connect_rate=None):
        x = inputs
        if expands:
            x = block.act0(block._bn0(block._expand_conv(x)))
        x = block.act1(block._bn1(block._depthwise_conv(x)))
        x = block._bn2(block._project_conv(x))
        return block.sum(torch.stack([inputs, x], dim=-1)) if skips else x

    block.act0, block.act1, block.sum = nn.ReLU6(), nn.ReLU6(), Sum()
    block.forward = forward


def efficientnet(net):
    pairs = [(["_conv_stem"], "_bn0"), (["_conv_head"], "_bn1")]
    for i, block in enumerate(net._blocks):
        for conv, norm in (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")):
            if hasattr(block, conv):
                pairs.append(([f"_blocks.{i}.{conv}"], f"_blocks.{i}.{norm}"))
        mobile(block)
    return NamedMergeBatchNorm(pairs)


def load(kind, image_file, weight_file):
    x, _ = torch_models.images(image_file)
    if kind == "cifar":
        wrapped = torch_models.cifar_resnet(weight_file)
        canonizer = cifar(wrapped.net)
    elif kind == "squeezenet":
        wrapped, canonizer = torch_models.squeezenet(), CompositeCanonizer([])
    else:
        wrapped = torch_models.efficientnet_lite0()
        canonizer = efficientnet(wrapped.net)
    wrapped, x = wrapped.double().eval(), x.double()
    for p in wrapped.parameters():
        p.requires_grad_(False)
    mean, std = (torch.tensor(v, dtype=x.dtype).view(1, 3, 1, 1) for v in (wrapped.mean, wrapped.std))

    def normalise(v):
        v = (v - mean) / std
        return v.flip(1) if wrapped.bgr else v

    with torch.no_grad():
        before = wrapped(x)
        canonizer.apply(wrapped.net)
        for module in wrapped.net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = 0.0  # zennit 0.5.1 leaves it, and then what should be the identity is not
        assert torch.allclose(wrapped.net(normalise(x)), before, rtol=0, atol=1e-9)

    def image(r):
        return (r.flip(1) if wrapped.bgr else r).permute(0, 2, 3, 1)

    return wrapped.net, normalise, x, image
