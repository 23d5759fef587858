"""Attributions by captum and pytorch-grad-cam of two small networks.

    python bench/oracles/explanations.py lib/attrib/testdata/explanations.npz

Packages: torch 2.15.0, captum 0.9.0, grad-cam 1.5.7. Weights and images are hashed, as
internal/oracle makes them too, so that only results are kept. All is in double precision. The networks:

    relu     convolution, batch normalisation, ReLU, max-pooling, convolution, ReLU, plus a convolution of that, ReLU,
             mean, linear: all that guided backpropagation has rules for
    smooth   convolution, softplus, max-pooling, convolution, ELU, mean, linear, tanh, linear

pytorch-grad-cam enlarges ScoreCAM's masks with the corners aligned, the authors' code with pixels as areas (align_corners
False), as everything else here is: that line is changed. Its maps are taken before they are brought to 0..1. captum's
DeepLift leaves the rule for max-pooling out where an activation comes right before it (of two hooks on one tensor the
activation's is called first), and sums wrongly where windows overlap: the networks multiply by 1 in between, and their
windows do not overlap.
"""
import sys

import numpy as np
import torch
import torch.nn.functional as F
from captum.attr import DeepLift, GradientShap, GuidedBackprop, InputXGradient, KernelShap, LayerGradCam, NoiseTunnel, Saliency
from captum.attr._core import gradient_shap, noise_tunnel
from pytorch_grad_cam import GradCAMPlusPlus, LayerCAM, ScoreCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from hashed import hashed, weight

N, SIDE, CLASSES = 2, 12, 5


def conv(name, inputs, outputs, side, stride=1):
    layer = nn.Conv2d(inputs, outputs, side, stride, side // 2).double()
    layer.weight.data = weight(name + ".weight", side, side, inputs, outputs).permute(3, 2, 0, 1).contiguous()
    layer.bias.data = weight(name + ".bias", outputs)
    return layer


def linear(name, inputs, outputs):
    layer = nn.Linear(inputs, outputs).double()
    layer.weight.data = weight(name + ".weight", outputs, inputs)
    layer.bias.data = weight(name + ".bias", outputs)
    return layer


class ReLUNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.conv3 = conv("conv1", 3, 6, 3), conv("conv2", 6, 8, 3), conv("conv3", 8, 8, 3)
        self.bn1 = nn.BatchNorm2d(6).double()
        self.bn1.weight.data = 1 + 0.5 * weight("bn1.weight", 6)
        self.bn1.bias.data = 0.2 * weight("bn1.bias", 6)
        self.bn1.running_mean.data = 0.3 * weight("bn1.running_mean", 6)
        self.bn1.running_var.data = 1 + 0.5 * weight("bn1.running_var", 6)
        self.relu1, self.relu2, self.relu3, self.pool = nn.ReLU(), nn.ReLU(), nn.ReLU(), nn.MaxPool2d(2)
        self.fc = linear("fc", 8, CLASSES)

    def forward(self, x):
        x = self.pool(1 * self.relu1(self.bn1(self.conv1(x))))
        x = self.relu2(self.conv2(x))
        x = self.relu3(x + self.conv3(x))
        return 4 * self.fc(x.mean((2, 3)))


class SmoothNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = conv("sconv1", 3, 6, 3), conv("sconv2", 6, 8, 3)
        self.softplus, self.elu, self.tanh, self.pool = nn.Softplus(), nn.ELU(), nn.Tanh(), nn.MaxPool2d(2)
        self.fc1, self.fc2 = linear("sfc1", 8, 7), linear("sfc2", 7, CLASSES)

    def forward(self, x):
        x = self.pool(1 * self.softplus(self.conv1(x)))
        x = self.elu(self.conv2(x))
        return self.fc2(self.tanh(self.fc1(4 * x.mean((2, 3)))))


x = torch.from_numpy(hashed("images", N * SIDE * SIDE * 3).astype(np.float32).reshape(N, SIDE, SIDE, 3)).permute(0, 3, 1, 2).contiguous().double()
relu, smooth = ReLUNet().eval(), SmoothNet().eval()
classes = torch.tensor([1, 3])
golden = {}


def pack(a):
    return a.detach().permute(0, 2, 3, 1).contiguous().numpy().astype(np.float32)


with torch.no_grad():
    golden["relu_logits"], golden["smooth_logits"] = relu(x).numpy().astype(np.float32), smooth(x).numpy().astype(np.float32)

# Class activation maps.
upsampling = torch.nn.UpsamplingBilinear2d
for name, method in (("gradcam++", GradCAMPlusPlus), ("layercam", LayerCAM), ("scorecam", ScoreCAM)):
    torch.nn.UpsamplingBilinear2d = lambda size: nn.Upsample(size, mode="bilinear", align_corners=False)
    for layer, module in (("relu3", relu.relu3), ("relu1", relu.relu1)):
        method_cam = method(relu, [module])
        kept = {}
        image = method_cam.get_cam_image
        method_cam.get_cam_image = lambda *a, **k: kept.setdefault("map", image(*a, **k))
        method_cam(x.clone().requires_grad_(), [ClassifierOutputTarget(int(c)) for c in classes])
        small = torch.from_numpy(np.maximum(kept["map"], 0)).double()[:, None]
        golden[f"{name}_{layer}"] = pack(F.interpolate(small, (SIDE, SIDE), mode="bilinear", align_corners=False))
        method_cam.activations_and_grads.release()
torch.nn.UpsamplingBilinear2d = upsampling

golden["guided"] = pack(GuidedBackprop(relu).attribute(x, classes))
# A picture, where of a constant baseline's many equal largest values rounding would choose one.
picture = torch.from_numpy(hashed("baseline", SIDE * SIDE * 3).astype(np.float32).reshape(1, SIDE, SIDE, 3)).permute(0, 3, 1, 2).double()
for name, net, bases in (("relu", relu, ("black", "grey")), ("smooth", smooth, ("picture",))):
    for base in bases:
        b = {"black": torch.zeros_like(x), "grey": torch.full_like(x, 0.5), "picture": picture.expand_as(x)}[base].contiguous()
        golden[f"deeplift_{name}_{base}"] = pack(DeepLift(net).attribute(x, b, classes))

# GradientSHAP with six draws, the same for all images.
baselines = torch.from_numpy(hashed("baselines", 3 * SIDE * SIDE * 3).astype(np.float32).reshape(3, SIDE, SIDE, 3)).permute(0, 3, 1, 2).contiguous().double()
noise = torch.from_numpy((1.5 * np.sin(12.9898 * np.arange(6 * SIDE * SIDE * 3, dtype=np.float64))).astype(np.float32)).view(6, SIDE, SIDE, 3).permute(0, 3, 1, 2).double()
which, alphas = [0, 2, 1, 1, 0, 2], hashed("alphas", 6)
golden["alphas"] = alphas
spread = x.float().amax((1, 2, 3)) - x.float().amin((1, 2, 3))
uniform, choice, normal = np.random.uniform, np.random.choice, noise_tunnel.torch.normal
for name, level in (("gradient_shap", 0.0), ("gradient_shap_noise", 0.1)):
    parts = []
    for i in range(N):
        np.random.uniform = lambda low, high, n: alphas[:n]
        np.random.choice = lambda n, size: np.array(which)[: np.prod(size)].reshape(size)
        noise_tunnel.torch.normal = lambda mean, std: std * noise
        parts.append(GradientShap(relu).attribute(x[i : i + 1], baselines, n_samples=6, stdevs=level * float(spread[i]), target=int(classes[i])))
    golden[name] = pack(torch.cat(parts))
np.random.uniform, np.random.choice = uniform, choice

# Noise tunnels around other methods than the gradient, with four draws.
four = noise[:4]
noise_tunnel.torch.normal = lambda mean, std: std * four
grad_cam = LayerGradCam(relu, relu.relu3)


class Enlarged:
    """captum's Grad-CAM, enlarged, for a noise tunnel."""

    def attribute(self, x, target, **_):
        return F.interpolate(grad_cam.attribute(x, target, relu_attributions=True), (SIDE, SIDE), mode="bilinear", align_corners=False)

    has_convergence_delta = lambda self: False
    multiplies_by_inputs = False
    is_gradient_method = False
    forward_func = relu


for kind, name in (("smoothgrad", "mean"), ("smoothgrad_sq", "square"), ("vargrad", "variance")):
    for method, made in (("ixg", InputXGradient(relu)), ("gradcam", None), ("deeplift", DeepLift(relu))):
        parts = []
        for i in range(N):
            sigma = 0.15 * float(spread[i])
            if made is not None:
                more = {"baselines": torch.zeros(1, 3, SIDE, SIDE).double()} if method == "deeplift" else {}
                part = NoiseTunnel(made).attribute(x[i : i + 1], nt_type=kind, nt_samples=4, stdevs=sigma, target=int(classes[i]), **more)
            else:
                each = torch.stack([Enlarged().attribute(x[i : i + 1] + sigma * z, int(classes[i])) for z in four])
                part = {"mean": each.mean(0), "square": (each**2).mean(0), "variance": (each**2).mean(0) - each.mean(0) ** 2}[name]
            parts.append(part.detach())
        golden[f"tunnel_{method}_{name}"] = pack(torch.cat(parts))
noise_tunnel.torch.normal = normal

# Targets.
targets = {
    "probability": lambda z: z.softmax(1)[torch.arange(len(z)), classes],
    "log_probability": lambda z: z.log_softmax(1)[torch.arange(len(z)), classes],
    "difference": lambda z: z[:, 2] - z[:, 4],
}
for name, of in targets.items():
    golden[f"target_{name}"] = pack(Saliency(lambda x: of(relu(x))).attribute(x, abs=False))

# KernelSHAP on squares of four pixels, with forty masks given to both.
squares = (torch.arange(SIDE)[:, None] // 4 * 3 + torch.arange(SIDE)[None] // 4).expand(1, 3, SIDE, SIDE)
masks = hashed("masks", 40 * 9).reshape(40, 9) < 0.5
for name, net in (("relu", relu), ("smooth", smooth)):
    parts = []
    for i in range(N):
        shap = KernelShap(net)

        def given(_, **more):
            yield torch.ones(1, 9).long()
            yield torch.zeros(1, 9).long()
            for mask in masks:
                yield torch.from_numpy(mask[None]).long()

        shap.perturb_func = given
        parts.append(shap.attribute(x[i : i + 1], torch.zeros(1, 3, SIDE, SIDE).double(), int(classes[i]), feature_mask=squares, n_samples=42))
    golden[f"kernel_shap_{name}"] = pack(torch.cat(parts)[:, :1] / 16)

np.savez_compressed(sys.argv[1], **golden)
for k, v in golden.items():
    print(k, v.shape, float(np.abs(v).max()))
