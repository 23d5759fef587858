"""loupe's attributions beside those of the libraries that people use, with the same weights and images, in one run.

    PYTHONPATH=bench/oracles:CRP python bench/attrib/compare.py CIFAR10-JPEG/test.zip CIFAR-RESNETS/resnet20.safetensors \
        [--imagenet IMAGENET-SAMPLE/images.zip] [--sis OVERINTERPRETATION] [--only lrp crp] [--networks cifar] [--rounds 3]

CRP is a folder with zennit-crp and the zennit that it needs, OVERINTERPRETATION a clone of github.com/gifford-lab/overinterpretation; without them those rows are
left out, and it says so. The others are captum's integrated gradients, SmoothGrad, occlusion, LIME, GradientSHAP, DeepLIFT and guided backpropagation, the class activation maps of
pytorch-grad-cam, and zennit's layer-wise relevance propagation.

Each runs in PyTorch on the CPU at the best of several settings, found before the rounds: how many images go through the network at once, one or two threads, and channels first or
last. The rounds alternate. Of loupe's runs the first, which compiles, is told apart. What both find is compared, so that what is timed is the same: by the
sums of absolute values of each image's heatmap (the draws of SmoothGrad and GradientSHAP differ), by 1 - r for class activation maps (pytorch-grad-cam enlarges Score-CAM's masks with the
corners aligned, its authors' code and loupe do not: these maps differ), by the values for LIME, and by the pixels that two orders leave in common for SIS.
"""
import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch

import torch_models

parser = argparse.ArgumentParser()
parser.add_argument("cifar")
parser.add_argument("weights")
parser.add_argument("--imagenet")
parser.add_argument("--sis")
parser.add_argument("--only", nargs="*", help="methods")
parser.add_argument("--networks", nargs="*", default=["cifar", "squeezenet", "efficientnet"])
parser.add_argument("--images", type=int, default=32)
parser.add_argument("--photographs", type=int, default=4)
parser.add_argument("--masks", type=int, default=1000)
parser.add_argument("--rounds", type=int, default=3)
args = parser.parse_args()
root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
CONCEPTS = 16


class Setting(tuple):
    """How PyTorch runs: images at once, threads, channels last or not."""

    def __str__(self):
        return f"{self[0]} at once, {self[1]} thread{'s' * (self[1] > 1)}{', channels last' * self[2]}"


class Network:
    def __init__(self, title, kind, file, weights, window, stride, layer, layer_there, patch):
        self.title, self.file, self.weights = title, file, weights
        self.window, self.stride, self.layer, self.layer_there, self.patch = window, stride, layer, layer_there, patch
        self.kind = kind
        self.model = {"cifar": lambda: torch_models.cifar_resnet(weights), "squeezenet": torch_models.squeezenet, "efficientnet": torch_models.efficientnet_lite0}[kind]()
        for p in self.model.parameters():
            p.requires_grad_(False)
        self.x, _ = torch_models.images(file)
        with torch.no_grad():
            self.classes = self.model(self.x).argmax(1)

    def formatted(self, net, last):
        return net.to(memory_format=torch.channels_last if last else torch.contiguous_format)

    def last_places(self):
        """The last module whose output has places."""
        net = self.model.net
        return {"cifar": lambda: net.layer3[-1], "squeezenet": lambda: net.features[12]}[self.kind]()

    def canonical(self):
        if not hasattr(self, "_canonical"):
            import canonical

            net, normalise, x, _ = canonical.load(self.kind, self.file, self.weights)
            self._canonical = net.float(), normalise(x).float()
        return self._canonical


def by_image(heat):
    return heat.detach().abs().reshape(len(heat), -1).sum(1).numpy()


def captum(make):
    def run(n, setting):
        at_once, _, last = setting
        return by_image(make(n, n.formatted(n.model, last), n.x, at_once))

    return run


def integrated_gradients(n, model, x, at_once):
    from captum.attr import IntegratedGradients

    return IntegratedGradients(model).attribute(x, torch.zeros_like(x), n.classes, n_steps=50, internal_batch_size=max(len(x), at_once))


def smoothgrad(n, model, x, at_once):
    from captum.attr import NoiseTunnel, Saliency

    spread = ((x.amax((1, 2, 3)) - x.amin((1, 2, 3))) * 0.15).mean()
    return NoiseTunnel(Saliency(model)).attribute(
        x, nt_type="smoothgrad", nt_samples=50, nt_samples_batch_size=max(1, at_once // len(x)), stdevs=float(spread), target=n.classes, abs=False)


def occlusion(n, model, x, at_once):
    from captum.attr import Occlusion

    with torch.no_grad():
        return Occlusion(model).attribute(
            x, sliding_window_shapes=(3, n.window, n.window), strides=(3, n.stride, n.stride), baselines=0.5, target=n.classes, perturbations_per_eval=max(1, at_once // len(x)))[:, :1]


def gradient_shap(n, model, x, at_once):
    from captum.attr import GradientShap

    each = max(1, at_once // len(x))  # captum has all samples of a call in memory
    parts = [GradientShap(model).attribute(x, torch.zeros_like(x[:1]), n_samples=min(each, 50 - i), target=n.classes) * min(each, 50 - i) for i in range(0, 50, each)]
    return sum(parts) / 50


def deeplift(n, model, x, at_once):
    from captum.attr import DeepLift

    return DeepLift(model).attribute(x, torch.zeros_like(x), n.classes)


def guided_backprop(n, model, x, at_once):
    from captum.attr import GuidedBackprop

    return GuidedBackprop(model).attribute(x, n.classes)


def cam(name):
    def run(n, setting):
        import pytorch_grad_cam
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        at_once, _, last = setting
        with getattr(pytorch_grad_cam, name)(n.formatted(n.model, last), [n.last_places()]) as method:
            method.batch_size = at_once
            maps = method(n.x.clone().requires_grad_(True), [ClassifierOutputTarget(int(c)) for c in n.classes])
        return maps.reshape(len(n.x), -1)

    return run


def lrp(n, setting):
    from zennit.attribution import Gradient
    from zennit.composites import EpsilonPlusFlat

    at_once, _, last = setting
    net, x = n.canonical()
    n.formatted(net, last)
    sums = []
    for i in range(0, len(x), at_once):
        part, classes = x[i : i + at_once].clone(), n.classes[i : i + at_once]
        with Gradient(model=net, composite=EpsilonPlusFlat()) as attributor:
            _, relevance = attributor(part, lambda logits: logits.detach() * torch.nn.functional.one_hot(classes, logits.shape[1]))
        sums.append(by_image(relevance))
    return np.concatenate(sums)


def crp(n, setting):
    from crp.attribution import CondAttribution
    from zennit.composites import EpsilonPlusFlat

    at_once, _, last = setting
    net, x = n.canonical()
    attribution = CondAttribution(n.formatted(net, last))
    sums = []
    for image, k in zip(x, n.classes):
        total = 0.0
        conditions = [{n.layer_there: [c], "y": [int(k)]} for c in range(CONCEPTS)]
        for i in range(0, CONCEPTS, at_once):
            one = image[None].clone().requires_grad_(True)
            total += attribution(one, conditions[i : i + at_once], EpsilonPlusFlat()).heatmap.detach().abs().sum().item()
        sums.append(total)
    return np.array(sums)


def grid(n):
    side = n.x.shape[2] // n.patch
    at = np.arange(n.x.shape[2]) // n.patch
    return at[:, None] * side + at[None]


def masks(n):
    keep = np.random.RandomState(0).binomial(1, 0.5, size=(args.masks, grid(n).max() + 1)).astype(np.float32)
    keep[0] = 1  # as the package lime has it
    return keep


def lime(n, setting):
    from captum._utils.models.linear_model import SkLearnRidge
    from captum.attr import Lime

    at_once, _, last = setting
    model, keep = n.formatted(n.model, last), masks(n)

    def drawn(original, **_):
        yield from (torch.from_numpy(row)[None] for row in keep)

    def weight(original, perturbed, kept, **_):  # √exp(-d²/0.25²), d the cosine distance between a mask and the whole image
        d = 1 - torch.sqrt(kept.double().mean())
        return torch.sqrt(torch.exp(-(d**2) / 0.25**2))

    explainer = Lime(lambda v: torch.softmax(model(v), 1), interpretable_model=SkLearnRidge(alpha=1.0), similarity_func=weight, perturb_func=drawn)
    with torch.no_grad():
        return np.stack([
            explainer.attribute(
                n.x[i : i + 1], target=int(n.classes[i]), feature_mask=torch.from_numpy(grid(n))[None, None], n_samples=args.masks, perturbations_per_eval=at_once, return_input_shape=False)[0].numpy()
            for i in range(len(n.x))])


def sis(n, setting):
    sys.path.insert(0, os.path.join(args.sis, "imagenet"))
    import imagenet_backselect

    view = lambda v: torch.tensor(v).view(1, 3, 1, 1)
    normal = (n.x - view(n.model.mean)) / view(n.model.std)
    results = imagenet_backselect.run_gradient_backward_selection(normal, n.formatted(n.model.net, setting[2]), 32, add_random_noise=False, cuda=False)
    pixels = n.x.shape[2] * n.x.shape[3]
    kept = np.zeros((len(n.x), pixels), np.float32)
    for row, result in zip(kept, results):
        row[np.argsort(np.ravel(result.mask_order), kind="stable")[-pixels // 16 :]] = 1  # mask_order is the round in which each pixel goes
    return kept


def found_sums(n, flat):
    return np.abs(flat.reshape(len(n.x), -1)).sum(1)


# Each row: the peer's name, what it runs, loupe's name for it, how many images at once are worth a try, what to make of what loupe finds, how to compare.
def methods(n):
    count = len(n.x)
    relative = lambda a, b: f"{np.median(np.abs(a - b) / np.abs(a)):.0e}"
    largest = lambda a, b: f"{np.abs(a - b).max() / np.abs(a).max():.0e}"
    apart = lambda a, b: f"{np.median([1 - np.corrcoef(p, q)[0, 1] for p, q in zip(a, b)]):.0e}"
    shared = lambda a, b: f"{1 - (a * b).sum() / a.sum():.0e}"
    batches = (count, 4 * count, 16 * count)
    as_it_is = lambda n, v: v.reshape(count, -1)
    single = (count,)
    activation = {} if n.kind == "efficientnet" else {
        "grad-cam++": ("pytorch-grad-cam", cam("GradCAMPlusPlus"), "grad-cam++", single, as_it_is, apart),
        "layer-cam": ("pytorch-grad-cam", cam("LayerCAM"), "layer-cam", single, as_it_is, apart),
        "score-cam": ("pytorch-grad-cam", cam("ScoreCAM"), "score-cam", (16, 64), as_it_is, apart),
        "deeplift": ("captum", captum(deeplift), "deeplift", single, found_sums, relative),
        "guided backpropagation": ("captum", captum(guided_backprop), "guided-backprop", single, found_sums, relative),
    }  # captum has no rule for ReLU6
    return activation | {
        "gradient shap": ("captum", captum(gradient_shap), "gradient-shap:50", batches, found_sums, relative),
        "integrated gradients": ("captum", captum(integrated_gradients), "integrated-gradients:50", batches, found_sums, relative),
        "smoothgrad": ("captum", captum(smoothgrad), "smoothgrad:50", batches, found_sums, relative),
        "occlusion": ("captum", captum(occlusion), f"occlusion:{n.window}:{n.stride}", batches, found_sums, relative),
        "lime": ("captum", lime, f"lime:{n.patch}:KEEP", (32, 128), as_it_is, largest),
        "lrp": ("zennit", lrp, "lrp", (max(1, count // 4), count), found_sums, relative),
        "crp": ("zennit-crp", crp, f"crp:{n.layer}:{CONCEPTS}", (CONCEPTS // 4, CONCEPTS), found_sums, relative),
        "sis": ("authors' code", sis, "sis:32", (count,), as_it_is, shared),
    }


def timed(call, n, setting):
    torch.set_num_threads(setting[1])
    start = time.perf_counter()
    result = call(n, setting)
    return time.perf_counter() - start, result


def best(call, n, batches):
    """The fastest setting, one thing changed at a time."""
    setting = Setting((batches[0], 2, False))
    call(n, setting)
    least, _ = timed(call, n, setting)
    changes = [lambda s, b=b: (b, s[1], s[2]) for b in batches[1:]] + [lambda s: (s[0], s[1], True), lambda s: (s[0], 1, s[2])]
    for change in changes:
        other = Setting(change(setting))
        seconds, _ = timed(call, n, other)
        if seconds < least:
            least, setting = seconds, other
    return setting


def compare(program, folder, n):
    for name, (peer, call, ours, batches, read, difference) in methods(n).items():
        if args.only and name not in args.only or name == "crp" and not n.layer or name == "sis" and n.kind != "cifar":
            continue
        missing = {"lrp": not importlib.util.find_spec("zennit"), "crp": not importlib.util.find_spec("crp"), "sis": not args.sis}.get(name)
        if missing:
            print(f"{n.title}, {name}: left out, for want of {peer}", file=sys.stderr)
            continue
        keep = os.path.join(folder, "keep.npz")
        np.savez(keep, keep=masks(n))
        setting = best(call, n, batches)
        theirs, mine, first = [], [], []
        for _ in range(args.rounds):
            seconds, one = timed(call, n, setting)
            theirs.append(seconds)
            out = os.path.join(folder, "out.npz")
            line = subprocess.run([program, n.file, n.weights, "3", out, ours.replace("KEEP", keep)], check=True, stdout=subprocess.PIPE, text=True, cwd=root).stdout.split()
            first.append(float(line[1]) - float(line[2]))
            mine.append(min(float(s) for s in line[2:]))
            with np.load(out) as data:
                other = read(n, data[data.files[0]])
        a, b = np.median(theirs) / len(n.x), np.median(mine) / len(n.x)
        print(f"| {n.title} | {name} | {peer}, {setting} | {1000 * a:.1f} | {1000 * b:.1f} | {a / b:.2f} | {np.median(first):.1f} | {difference(one, other)} |", flush=True)


with tempfile.TemporaryDirectory() as folder:
    program = os.path.join(folder, "attrib")
    subprocess.run(["go", "build", "-o", program, "./bench/attrib"], cwd=root, check=True)

    def dump(kind, archive, step, count):
        out = os.path.join(folder, kind + ".npz")
        subprocess.run(["go", "run", "./bench/oracles/dump", kind, os.path.abspath(archive), str(step), str(count), out], cwd=root, check=True)
        return out

    print("| network | method | beside | ms an image | loupe, ms an image | ratio | loupe compiles, s | difference |\n|---|---|---|---:|---:|---:|---:|---:|")
    weights = os.path.abspath(args.weights)
    if "cifar" in args.networks:
        compare(program, folder, Network("ResNet-20", "cifar", dump("cifar10", args.cifar, 10000 // args.images, args.images), weights, 8, 3, "layer3.1", "layer3.1", 4))
    if args.imagenet:
        photographs = dump("imagenet", args.imagenet, 200, args.photographs)
        for title, kind, name in (("SqueezeNet", "squeezenet", "squeezenet"), ("EfficientNet-Lite0", "efficientnet", "efficientnet-lite0")):
            if kind in args.networks:
                compare(program, folder, Network(title, kind, photographs, name, 64, 40, "", "", 16))
