"""Steps of training beside PyTorch's and opacus', with the same networks, images of 32x32x3 and batches, in one run.

    go build -o learn ./bench/learn && python bench/learn/compare.py ./learn [--only NETWORK/KIND ...] [--steps 6] [--rounds 3]

Every cell is a process of its own, so that its peak of memory is its own; the rounds alternate. Told are the fastest step of all rounds by the clock, the
processor time of a step, the mean of a round's, the least of the rounds: on a machine with other work it says more than the clock; and what the process
takes beyond what it had before it trained. What compiles, the first step, is left out. PyTorch has two threads and channels last. DP-SGD is
clipped to 1 with noise 1: opacus by hooks, by functorch, by PyTorch's expanded weights ("ew"), and with ghost clipping.
The kinds moco, byol and swav have lightly's losses and momentum update, and torchvision's views of two times the batch, each image by itself. An epoch of
CIFAR-10 in batches of 256 is 195 such steps.
The kind discovery is a step of task discovery, of an encoder through ten steps of two networks each, by create_graph.
Needs torch 2.15.0 and opacus 1.6.0, and for those three torchvision 0.29.2 and lightly 1.6.0.
"""
import argparse
import json
import resource
import subprocess
import sys
import time

CASES = {
    "resnet20gn/dp": ["hooks", "functorch", "ew", "ghost"], "resnet20gn/plain": ["plain"], "resnet20/plain": ["plain"], "smallcnn/plain": ["plain"], "unet/plain": ["plain"],
    "vit/plain": ["plain"], "smallcnn/dp": ["hooks", "ew", "ghost"], "resnet20/pgd10": ["pgd10"],
    "resnet18cifar/moco": ["moco"], "resnet18cifar/byol": ["byol"], "resnet18cifar/swav": ["swav"], "mlp/discovery": ["discovery"], "patchcnn/discovery": ["discovery"],
}
BATCH = {"unet": 32, "vit": 64, "resnet18cifar": 256, "mlp": 64, "patchcnn": 64}
UNLABELLED = ("moco", "byol", "swav")


def network(name):
    import torch
    from torch import nn
    from torch.nn import functional as F

    def norm(channels):
        return nn.GroupNorm(16, channels) if name.endswith("gn") else nn.BatchNorm2d(channels)

    class Block(nn.Module):
        def __init__(self, i, o, stride):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(i, o, 3, stride, 1, bias=False), norm(o)
            self.conv2, self.bn2 = nn.Conv2d(o, o, 3, 1, 1, bias=False), norm(o)
            self.stride, self.more = stride, o - i

        def forward(self, x):
            y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
            if self.stride > 1 or self.more:
                x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.more // 2, self.more - self.more // 2))
            return F.relu(y + x)

    class Mean(nn.Module):
        def forward(self, x):
            return x.mean((2, 3))

    if name.startswith("resnet20"):
        blocks = [Block(16 if s == 0 else 16 << (s - (i == 0)), 16 << s, 2 if s and i == 0 else 1) for s in range(3) for i in range(3)]
        return nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), norm(16), nn.ReLU(), *blocks, Mean(), nn.Linear(64, 10))
    if name == "smallcnn":
        return nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                             nn.Linear(32 * 64, 64), nn.ReLU(), nn.Linear(64, 10))
    if name == "unet":
        def double(i, o):
            return nn.Sequential(nn.Conv2d(i, o, 3, 1, 1, bias=False), norm(o), nn.ReLU(), nn.Conv2d(o, o, 3, 1, 1, bias=False), norm(o), nn.ReLU())

        class UNet(nn.Module):
            def __init__(self, width=16, downs=3):
                super().__init__()
                self.inc, self.out = double(3, width), nn.Conv2d(width, 10, 1)
                self.down = nn.ModuleList(double(width << i, width << i + 1) for i in range(downs))
                self.up = nn.ModuleList(nn.ConvTranspose2d(width << i + 1, width << i, 2, 2) for i in reversed(range(downs)))
                self.conv = nn.ModuleList(double(width << i + 1, width << i) for i in reversed(range(downs)))

            def forward(self, x):
                levels = [self.inc(x)]
                for d in self.down:
                    levels.append(d(F.max_pool2d(levels[-1], 2)))
                x = levels.pop()
                for up, conv in zip(self.up, self.conv):
                    x = conv(torch.cat([levels.pop(), up(x)], 1))
                return self.out(x).mean((2, 3))

        return UNet()
    if name == "vit":
        class Layer(nn.Module):
            def __init__(self, width=192, heads=3):
                super().__init__()
                self.n1, self.n2, self.heads = nn.LayerNorm(width, 1e-6), nn.LayerNorm(width, 1e-6), heads
                self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
                self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

            def forward(self, x):
                b, t, c = x.shape
                q, k, v = self.qkv(self.n1(x)).reshape(b, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
                x = x + self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, t, c))
                return x + self.mlp(self.n2(x))

        class ViT(nn.Module):
            def __init__(self):
                super().__init__()
                self.embed, self.layers = nn.Conv2d(3, 192, 4, 4), nn.Sequential(*(Layer() for _ in range(6)))
                self.cls, self.pos = nn.Parameter(torch.zeros(1, 1, 192)), nn.Parameter(torch.randn(1, 65, 192) * 0.02)
                self.norm, self.head = nn.LayerNorm(192, 1e-6), nn.Linear(192, 10)

            def forward(self, x):
                x = self.embed(x).flatten(2).transpose(1, 2)
                x = torch.cat([self.cls.expand(len(x), -1, -1), x], 1) + self.pos
                return self.head(self.norm(self.layers(x))[:, 0])

        return ViT()
    if name == "resnet18cifar":
        from torchvision.models import resnet18

        net = resnet18(num_classes=10)
        net.conv1, net.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
        return net
    raise SystemExit(f"no network is called {name}")


class Unlabelled:
    """Learning without labels: heads behind a network's features, lightly's losses, and two views of each image by torchvision."""

    def __init__(self, net, kind, batch):
        import copy

        import torch
        from lightly.loss import NegativeCosineSimilarity, NTXentLoss, SwaVLoss
        from torch import nn
        from torchvision.transforms import v2

        width = net.fc.in_features
        net.fc = nn.Identity()

        def mlp(i, hidden, o, norm=True):
            return nn.Sequential(nn.Linear(i, hidden), *[nn.BatchNorm1d(hidden)] * norm, nn.ReLU(), nn.Linear(hidden, o))

        self.kind, self.batch = kind, batch
        projector = {"moco": lambda: mlp(width, width, 128, False), "byol": lambda: mlp(width, 1024, 256), "swav": lambda: mlp(width, 512, 128)}[kind]()
        self.net = nn.Sequential(net, projector)
        parts = [self.net]
        if kind != "swav":
            self.target = copy.deepcopy(self.net).requires_grad_(False)
        if kind == "moco":
            self.loss = NTXentLoss(temperature=0.1, memory_bank_size=(4096, 128))
        elif kind == "byol":
            self.predictor, self.loss = mlp(256, 1024, 256), NegativeCosineSimilarity()
            parts.append(self.predictor)
        else:
            self.prototypes, self.loss = nn.Linear(128, 512, bias=False), SwaVLoss()
            parts.append(self.prototypes)
        self.parameters = [p for part in parts for p in part.parameters()]
        self.view = v2.Compose([v2.RandomResizedCrop(32, scale=(0.2, 1), antialias=True), v2.RandomHorizontalFlip(),
                                v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.4, 0.1)], 0.8), v2.RandomGrayscale(0.2)])
        self.torch = torch

    def views(self, x):
        layout = self.torch.channels_last
        return [self.torch.stack([self.view(image) for image in x]).contiguous(memory_format=layout) for _ in range(2)]

    def __call__(self, x):
        from lightly.models.utils import update_momentum
        from torch.nn import functional as F

        a, b = self.views(x)
        if self.kind == "swav":
            with self.torch.no_grad():
                self.prototypes.weight.copy_(F.normalize(self.prototypes.weight, dim=1))
            scores = self.prototypes(F.normalize(self.net(self.torch.cat([a, b])), dim=1))
            return self.loss(list(scores.split(self.batch)), [])
        with self.torch.no_grad():
            update_momentum(self.net, self.target, 0.99)
        if self.kind == "moco":
            with self.torch.no_grad():
                key = self.target(b)
            return self.loss(self.net(a), key)
        with self.torch.no_grad():
            wanted = [self.target(b), self.target(a)]
        return sum(2 + 2 * self.loss(self.predictor(self.net(x)), z) for x, z in zip((a, b), wanted))


class Discovery:
    """A step of task discovery: the agreement of two networks after ten steps of gradient descent on a task of the encoder's, and how far its outputs are
    spread; by torch.autograd.grad with create_graph."""

    def __init__(self, name, batch):
        import torch
        from torch import nn

        self.torch, self.batch, self.steps, self.rate, self.temperature, self.coefficient, self.tau = torch, batch, 10, 0.1, 5.0, 5.0, 2.0
        if name == "mlp":
            make = lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 64), nn.ReLU(), nn.Linear(64, 2))
        else:
            make = lambda: nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 64, 2))
        self.nets = [make().to(memory_format=torch.channels_last) for _ in range(2)]
        self.planes = torch.linalg.qr(torch.randn(10, 10))[0]

    def __call__(self, encoder, x):
        torch, F = self.torch, self.torch.nn.functional
        learnt, test = x[: self.steps * self.batch], x[self.steps * self.batch :]
        h = encoder(learnt)
        along = self.temperature * h @ self.planes[torch.randint(10, (1,)).item()]
        labels = torch.stack([along, -along], 1).softmax(1)
        weights = [dict(net.named_parameters()) for net in self.nets]
        spread = 0
        for step in range(self.steps):
            at = slice(step * self.batch, (step + 1) * self.batch)
            spread = spread + (torch.pdist(F.normalize(h[at], dim=1)).pow(2).mul(-self.tau).exp().mean().log() + 4 * self.tau) / self.steps
            said = [torch.func.functional_call(net, w, (learnt[at],)).log_softmax(1) for net, w in zip(self.nets, weights)]
            loss = 0.5 * sum(-(labels[at] * s).sum(1).mean() for s in said)
            gradients = iter(torch.autograd.grad(loss, [v for w in weights for v in w.values()], create_graph=True))
            weights = [{k: v - self.rate * next(gradients) for k, v in w.items()} for w in weights]
        a, b = (torch.func.functional_call(net, w, (test,)).log_softmax(1) for net, w in zip(self.nets, weights))
        return -0.5 * (a.exp() * b + b.exp() * a).sum(1).mean() + self.coefficient * spread


def torch_steps(name, kind, batch, steps):
    """One process of PyTorch's: it prints what bench/learn prints."""
    import torch
    from torch.nn import functional as F

    torch.set_num_threads(2)
    torch.manual_seed(1)
    discovery = Discovery(name, batch) if kind == "discovery" else None
    net = network("smallcnn" if discovery else name).to(memory_format=torch.channels_last)
    parameters = sum(p.numel() for p in net.parameters())
    x = torch.rand(12 * batch if discovery else batch, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    y = torch.randint(10, (batch,))
    before = resident()
    criterion = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)
    if kind in UNLABELLED:
        unlabelled = Unlabelled(net, kind, batch)
        optimizer = torch.optim.SGD(unlabelled.parameters, lr=1e-3, momentum=0.9)
    if kind in ("hooks", "functorch", "ew", "ghost"):
        from opacus import GradSampleModule
        from opacus.grad_sample.grad_sample_module_fast_gradient_clipping import GradSampleModuleFastGradientClipping
        from opacus.optimizers import DPOptimizer
        from opacus.optimizers.optimizer_fast_gradient_clipping import DPOptimizerFastGradientClipping
        from opacus.utils.fast_gradient_clipping_utils import DPLossFastGradientClipping

        if kind == "ghost":
            net = GradSampleModuleFastGradientClipping(net, max_grad_norm=1.0, use_ghost_clipping=True)
            optimizer = DPOptimizerFastGradientClipping(optimizer, noise_multiplier=1.0, max_grad_norm=1.0, expected_batch_size=batch)
            criterion = DPLossFastGradientClipping(net, optimizer, criterion)
        else:
            if kind == "ew":
                from opacus.grad_sample.gsm_exp_weights import GradSampleModuleExpandedWeights

                net = GradSampleModuleExpandedWeights(net)
            else:
                net = GradSampleModule(net, force_functorch=kind == "functorch")
            optimizer = DPOptimizer(optimizer, noise_multiplier=1.0, max_grad_norm=1.0, expected_batch_size=batch)
    took, busy = [], 0
    for step in range(steps):
        start = time.perf_counter()
        optimizer.zero_grad()
        image = x
        if kind == "pgd10":
            delta = torch.zeros_like(x)
            for _ in range(10):
                delta.requires_grad_()
                (g,) = torch.autograd.grad(F.cross_entropy(net(x + delta), y), delta)
                delta = delta.detach() + 2 / 255 * g / g.flatten(1).norm(dim=1).clamp(min=1e-12)[:, None, None, None]
                delta = delta * (8 / 255 / delta.flatten(1).norm(dim=1).clamp(min=1e-12)).clamp(max=1)[:, None, None, None]
                delta = (x + delta).clamp(0, 1) - x
            image = x + delta
        (unlabelled(x) if kind in UNLABELLED else discovery(net, x) if discovery else criterion(net(image), y)).backward()
        optimizer.step()
        took.append(1000 * (time.perf_counter() - start))
        if step == 0:
            busy = processors()
    print(json.dumps({"first": took[0] / 1000, "steps": took[1:], "before": before, "memory": resident("VmHWM"), "processors": 1000 * (processors() - busy) / (steps - 1), "parameters": parameters}))


def processors():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def resident(name="VmRSS"):
    for line in open("/proc/self/status"):
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("learn")
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    print("| network, step | beside | ms by the clock | of processors | MB | loupe, ms by the clock | of processors | MB | ratio by the clock | of processors | of memory |\n|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for case, peers in CASES.items():
        if args.only and case not in args.only:
            continue
        name, kind = case.split("/")
        batch = BATCH.get(name, 128)
        runs = {}
        for _ in range(args.rounds):
            for who in ["loupe", *peers]:
                command = [args.learn, name, kind, str(batch), str(args.steps)] if who == "loupe" else [sys.executable, __file__, "--torch", name, who, str(batch), str(args.steps)]
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode:
                    print(f"{case} by {who} fails: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
                    continue
                runs.setdefault(who, []).append(json.loads(done.stdout))

        def best(who):
            of = runs[who]
            return min(min(r["steps"]) for r in of), min(r["processors"] for r in of), min(r["memory"] - r["before"] for r in of)

        for who in peers:
            if who in runs and "loupe" in runs:
                a, b = best(who), best("loupe")
                figures = [*a, *b]
                print(f"| {name}, {kind}, batch {batch} | {who} | " + " | ".join(f"{v:.0f}" for v in figures) + " | " + " | ".join(f"{p / q:.2f}" for p, q in zip(a, b)) + " |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--torch"]:
        torch_steps(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
    else:
        main()
