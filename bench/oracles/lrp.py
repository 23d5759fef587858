"""Layer-wise relevance propagation by zennit, for lib/attrib/lrp/testdata.

    python bench/oracles/lrp.py cifar cifar4.npz resnet20.safetensors lib/attrib/lrp/testdata/resnet20.npz
    python bench/oracles/lrp.py squeezenet imagenet-untied2.npz - lib/attrib/lrp/testdata/squeezenet.npz
    python bench/oracles/lrp.py efficientnet imagenet2.npz - lib/attrib/lrp/testdata/efficientnet-lite0.npz

where bench/oracles/dump wrote the images, as for attributions.py, but for SqueezeNet every 300th: another has a surface of
one colour, over which all values under a maximum are the same but for rounding, so that programs choose differently. Every second row and column is kept of small images
and every sixteenth of large ones. Relevance starts as the logit of the class "second", the second
highest. All is in double precision.
"""
import sys

import numpy as np
import torch
from zennit import composites, rules
from zennit.attribution import Gradient
from zennit.composites import LayerMapComposite, SpecialFirstLayerMapComposite, layer_map_base
from zennit.types import Convolution, Linear

import canonical

kind, image_file, weight_file, out = sys.argv[1:]
net, normalise, images, to_image = canonical.load(kind, image_file, weight_file)
x = normalise(images)
keep = 2 if x.shape[2] <= 64 else 16
low, high = normalise(torch.zeros_like(images)), normalise(torch.ones_like(images))
second = net(x).topk(2).indices[:, 1]


def everywhere(rule):
    return LayerMapComposite(layer_map_base() + [(Linear, rule)])


cases = {
    "epsilon_plus": composites.EpsilonPlus(),
    "epsilon_plus_flat": composites.EpsilonPlusFlat(),
    "epsilon_alpha2_beta1": composites.EpsilonAlpha2Beta1(),
    "epsilon_alpha2_beta1_flat": composites.EpsilonAlpha2Beta1Flat(),
    "epsilon_gamma_box": composites.EpsilonGammaBox(low=low, high=high),
    "epsilon": everywhere(rules.Epsilon()),
    "epsilon_quarter": everywhere(rules.Epsilon(0.25)),
    "gamma": everywhere(rules.Gamma(0.25)),
    "zplus": everywhere(rules.ZPlus()),
    "alpha3_beta2": everywhere(rules.AlphaBeta(3, 2)),
    "wsquare_first": SpecialFirstLayerMapComposite(
        layer_map_base() + [(Convolution, rules.ZPlus()), (torch.nn.Linear, rules.Epsilon())], [(Linear, rules.WSquare())]),
    "epsilon_plus_zero_bias": composites.EpsilonPlus(zero_params=["bias"]),
}
if kind != "efficientnet":  # whose residual sums of almost zero make noise of rules that do not look at activations
    cases |= {"flat": everywhere(rules.Flat()), "wsquare": everywhere(rules.WSquare())}
golden = {"second": second.numpy().astype(np.int64)}
for name, composite in cases.items():
    def start(logits):
        return logits.detach() * torch.nn.functional.one_hot(second, logits.shape[1])

    with Gradient(model=net, composite=composite) as attributor:
        _, relevance = attributor(x.clone(), start)
    golden[name] = to_image(relevance.detach())[:, ::keep, ::keep].contiguous().numpy().astype(np.float32)
    print(name, golden[name].shape, float(np.abs(golden[name]).max()), relevance.sum((1, 2, 3)).tolist())
np.savez_compressed(out, **golden)
