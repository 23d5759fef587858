"""Sufficient input subsets by the authors' code, for lib/mask/testdata/sis.npz.

    git clone https://github.com/gifford-lab/overinterpretation
    python bench/oracles/sis.py overinterpretation cifar4.npz resnet20.safetensors lib/mask/testdata/sis.npz

where bench/oracles/dump wrote the images: cifar10 test.zip 2500 4. sis.py is run on a linear function, on a norm and on a small
network whose weights are sines, so that the test can make them too; run_gradient_backward_selection, without its
noise, on that network and on ResNet-20. The networks compute in double precision: in single precision the order of two
pixels whose gradients differ by rounding depends on the program.
"""
import sys

import numpy as np
import torch
from torch import nn

source, image_file, weight_file, out = sys.argv[1:]
sys.path[:0] = [source, source + "/imagenet"]
np.bool, np.float_ = np.bool_, np.float64  # what sis.py calls by the names of NumPy 1
import imagenet_backselect  # noqa: E402
import torch_models  # noqa: E402
from sufficient_input_subsets import sis  # noqa: E402

golden = {}


def keep(name, collection):
    """Subsets one after another, with the length of each, and the whole order and values of each selection."""
    flat = lambda idx: np.ravel_multi_index(idx.T, collection[0].mask.shape).astype(np.int32) if len(idx) else np.zeros(0, np.int32)
    golden[name + "_sis"] = np.concatenate([flat(r.sis) for r in collection])
    golden[name + "_sizes"] = np.array([len(r.sis) for r in collection], np.int32)
    golden[name + "_order"] = np.concatenate([flat(r.ordering_over_entire_backselect) for r in collection])
    golden[name + "_values"] = np.concatenate([r.values_over_entire_backselect for r in collection]).astype(np.float64)


w = np.array([3, -1, 2, 0.5, 0])
keep("linear", sis.sis_collection(lambda x: x @ w, 2.0, np.ones(5), np.zeros(5)))
keep("norm", sis.sis_collection(lambda x: np.linalg.norm(x, axis=-1), 1.0, np.array([0.1, 10, 5, 0.5, 0.9, 0.3]), np.zeros(6)))


def sines(scale, start, *dims):
    n = int(np.prod(dims))
    return torch.from_numpy((scale * np.sin(12.9898 * (np.arange(n) + start))).astype(np.float32).reshape(dims))


class Small(nn.Module):
    """Two convolutions on normalised images [N, 3, 9, 8], four classes. Kernels are made as [KH, KW, I, O]."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.linear = nn.Conv2d(3, 6, 3, 1, 1), nn.Conv2d(6, 8, 3, 2, 1), nn.Linear(8, 4)
        with torch.no_grad():
            self.conv1.weight.copy_(sines(0.4, 0, 3, 3, 3, 6).permute(3, 2, 0, 1))
            self.conv1.bias.copy_(sines(0.1, 1000, 6))
            self.conv2.weight.copy_(sines(0.4, 2000, 3, 3, 6, 8).permute(3, 2, 0, 1))
            self.conv2.bias.copy_(sines(0.1, 3000, 8))
            self.linear.weight.copy_(sines(1.5, 4000, 4, 8))
            self.linear.bias.copy_(sines(0.1, 5000, 4))

    def forward(self, x):
        x = torch.relu(self.conv2(torch.relu(self.conv1(x))))
        return self.linear(x.mean((2, 3)))


small = Small().double().eval()
pixels = (0.5 + 0.5 * np.sin(78.233 * np.arange(3 * 9 * 8 * 3))).astype(np.float32).reshape(3, 9, 8, 3)
mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
x = torch.from_numpy(((pixels - mean) / std).transpose(0, 3, 1, 2)).contiguous()
with torch.no_grad():
    probabilities = torch.softmax(small(x), 1)
classes = probabilities.argmax(1)
golden["small_classes"] = classes.numpy().astype(np.int32)
golden["small_probability"] = probabilities.max(1).values.numpy()
for i in range(len(x)):
    def f(batch, c=int(classes[i])):
        with torch.no_grad():
            return torch.softmax(small(torch.from_numpy(batch)), 1)[:, c].numpy()
    everywhere = sis.make_empty_boolean_mask_broadcast_over_axis((3, 9, 8), 0)
    collection = sis.sis_collection(f, 0.6, x[i].numpy(), np.zeros((3, 9, 8)), everywhere)
    keep(f"small{i}", collection)


def gradient_selection(name, model, x, k):
    results = imagenet_backselect.run_gradient_backward_selection(x, model, k, add_random_noise=False, cuda=False)
    golden[name + "_iteration"] = np.stack([r.mask_order[0] for r in results]).astype(np.int16)
    golden[name + "_before"] = np.stack([r.confidences_over_backselect[:, r.target_class_idx] for r in results]).astype(np.float64)
    golden[name + "_classes"] = np.array([r.target_class_idx for r in results], np.int32)


gradient_selection("small_k1", small, x, 1)
gradient_selection("small_k5", small, x, 5)
resnet = torch_models.cifar_resnet(weight_file).double()
x, _ = torch_models.images(image_file)
view = lambda v: torch.tensor(v, dtype=torch.float64).view(1, 3, 1, 1)
gradient_selection("resnet20_k32", resnet.net, (x.double() - view(resnet.mean)) / view(resnet.std), 32)

np.savez_compressed(out, **golden)
for key, value in golden.items():
    print(key, value.shape, value.ravel()[:6])
