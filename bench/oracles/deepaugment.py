"""DeepAugment's distortions by the authors' programs, for lib/augment/testdata/distortions.npz.

    python bench/oracles/deepaugment.py IMAGENET_R lib/augment/testdata/distortions.npz

IMAGENET_R is a checkout of hendrycks/imagenet-r. From DeepAugment/CAE_distort_imagenet.py the function get_weights is run as it is on weights that are sines, for each of its options, and from
CAE_Model/cae_32x32x32_zero_pad_bin.py the method forward on a code that is sines, without the step that makes the code binary. All chance is the generator Lcg, begun anew for every option.

    weights_OPTION_released, weights_OPTION   weight and bias of the layers i and j (d_block_1.1 and d_block_2.1, here with 128 filters of 3 channels), one after the other
    code_OPTION_released, code_OPTION         [32, 8, 6]
    edsr_OPTION                               get_weights of EDSR_distort_imagenet.py: every 37th weight of a convolution [64, 64, 3, 3], and its bias
Those without "released" are by the same programs with the slips put right: bias_j is a bias, and one is taken away after rand_like and not before.
"""
import random
import sys
import types
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import gelu

root = Path(sys.argv[1]) / "DeepAugment"


class Lcg:
    def __init__(self):
        self.state = 1

    def one(self):
        self.state = (self.state * 1664525 + 1013904223) & 0xFFFFFFFF
        return self.state / 2**32

    def below(self, n):
        return int(self.one() * n)

    def like(self, x):
        return torch.tensor([self.one() for _ in range(x.numel())], dtype=torch.float32).reshape(x.shape)


def sines(scale, start, *dims):
    n = int(np.prod(dims))
    return torch.from_numpy((scale * np.sin(12.9898 * (np.arange(n) + start))).astype(np.float32).reshape(dims))


def chance(option, lcg, layers):
    """Puts lcg in the place of every source of chance that the programs use."""
    layers = iter(layers)
    random.sample = lambda *_: [option]
    random.random = lcg.one
    random.randint = lambda a, b: a if option in unused_draw else a + lcg.below(b - a + 1)
    random.choice = lambda list: list[lcg.below(len(list))]

    def shuffle(dims):
        dims[:] = [[0, 1, 2], [0, 2, 1], [1, 2, 0]][lcg.below(3)]
    random.shuffle = shuffle
    np.random.uniform = lcg.one
    np.random.choice = lambda of: next(layers) if isinstance(of, range) else lcg.below(of)
    np.random.randint = lambda n, size: [lcg.below(n) for _ in range(size[0])]

    def permutation(n):
        order = list(range(n))
        for i in range(n - 1, 0, -1):
            j = lcg.below(i + 1)
            order[i], order[j] = order[j], order[i]
        return order
    np.random.permutation = permutation
    torch.rand_like = lcg.like

    class Floats:
        def __init__(self, *dims):
            self.dims = dims

        def uniform_(self):
            return lcg.like(torch.zeros(self.dims))
    torch.cuda.FloatTensor = Floats


torch.Tensor.cuda = lambda self: self
golden = {}

text = (root / "CAE_distort_imagenet.py").read_text()
source = text[text.index("def get_weights():"):text.index("net = CAE()")]
right = source.replace('bias_j = get_name(j, "weight")', 'bias_j = get_name(j, "bias")')
for k in "ij":
    right = right.replace(f"torch.rand_like(weights[weight_{k}]-1)", f"torch.rand_like(weights[weight_{k}])-1")
assert right.count("])-1") == 2
unused_draw = ()
for name, program in (("_released", source), ("", right)):
    space = {"np": np, "torch": torch, "random": random, "gelu": gelu}
    exec(program, space)
    for option in range(9):
        planted = {"d_block_1.1.weight": sines(1, 0, 128, 3, 3, 3), "d_block_1.1.bias": sines(.5, 100, 128),
                   "d_block_2.1.weight": sines(1, 200, 128, 3, 3, 3), "d_block_2.1.bias": sines(.5, 300, 128)}
        torch.load = lambda _: planted
        chance(option, Lcg(), [11, 13])
        weights = space["get_weights"]()
        golden[f"weights_{option}{name}"] = np.concatenate([weights[k].numpy().ravel() for k in planted])

text = (root / "CAE_Model" / "cae_32x32x32_zero_pad_bin.py").read_text()
source = text.replace("0.5 * (ec3 + eps + 1)", "0.5 * (ec3 + 1)")
assert source != text
right = source.replace("torch.rand_like(self.encoded-1)", "torch.rand_like(self.encoded)-1")
assert right != source
unused_draw = (4, 5)
for name, program in (("_released", source), ("", right)):
    space = {}
    exec(program, space)
    for option in range(9):
        nothing, same = (lambda x: 0 * x), (lambda x: x)
        net = types.SimpleNamespace(e_conv_1=same, e_conv_2=same, e_block_1=nothing, e_block_2=nothing, e_block_3=nothing, e_conv_3=lambda x: x.clone(), decode=same)
        chance(option, Lcg(), [option])
        encoded = space["CAE"].forward(net, sines(.9, 0, 1, 32, 8, 6))
        golden[f"code_{option}{name}"] = (encoded * 2 - 1).detach().numpy().ravel()
        assert option == 0 or option == 4 or not np.allclose(golden[f"code_{option}{name}"], sines(.9, 0, 32, 8, 6).numpy().ravel()), option

# EDSR_distort_imagenet.py: a residual block of 64 channels, of whose first convolution every 37th weight is kept, and its bias.
text = (root / "EDSR_distort_imagenet.py").read_text()
source = text[text.index("def get_weights():"):text.index("weights = get_weights()")]
for option in (1, 2, 4, 5, 8, 9, 11):
    planted = {}
    for block in (7, 9):
        for conv, start in ((0, 0), (2, 500)):
            planted[f"body.{block}.body.{conv}.weight"] = sines(.5, start, 64, 64, 3, 3)
            planted[f"body.{block}.body.{conv}.bias"] = sines(.5, start + 100, 64)
    torch.load = lambda _: planted
    lcg = Lcg()
    torch.rand_like = lcg.like
    np.random.uniform = lcg.one
    np.random.randint = lambda low, high=None, size=None: [option] if size == 3 else [lcg.below(low) for _ in range(size[0])]
    np.random.choice = lambda of: (7 if option == 1 else 9) if isinstance(of, np.ndarray) else of[lcg.below(len(of))]
    random.choice = lambda of: 9
    space = {"np": np, "torch": torch, "random": random, "gelu": gelu, "conv2d": torch.nn.functional.conv2d}
    exec(source, space)
    weights = space["get_weights"]()
    block, conv = 7 if option == 1 else 9, 2 if option == 11 else 0  # option 11 is for the second convolution
    weight = weights[f"body.{block}.body.{conv}.weight"].numpy().ravel()
    golden[f"edsr_{option}"] = np.concatenate([weight[::37], weights[f"body.{block}.body.{conv}.bias"].numpy()])

for key in list(golden):  # those without a slip are the same
    if key.endswith("_released") and np.array_equal(golden[key], golden[key[:-9]]):
        del golden[key]
print(sorted(golden))
np.savez_compressed(sys.argv[2], **{k: v.astype(np.float32) for k, v in golden.items()})
