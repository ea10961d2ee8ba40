"""Times training steps of torchvision's detectors: the Python side of `batchscope-engine bench step --model NAME`.

usage: python detector_step.py --engine BATCHSCOPE_ENGINE [--model fasterrcnn_resnet50_fpn] [--norm frozen|bn]
                               [--size 320] [--batch 2] [--threads 2] [--steps 6] [--rounds 3] [--json]

The engine writes its batches to a file (--batches-out), and each side draws the same initial weights from seed 0, so that both
compute the same losses. One step: losses, gradients, SGD with momentum. The sides take turns, each round in processes of their
own; printed are the medians of time and of the largest resident memory, and their ratios (engine over torchvision).
"""
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

WARMUP, CLASSES = 2, 4


def build(torch, name, norm):
    import torchvision
    from torchvision.models import detection
    from torchvision.models.detection import backbone_utils
    from torchvision.ops import FrozenBatchNorm2d
    from torchvision.ops.feature_pyramid_network import LastLevelP6P7

    torch.manual_seed(0)
    if norm == "bn":
        return getattr(detection, name)(weights=None, weights_backbone=None, num_classes=CLASSES)
    body = torchvision.models.resnet50(norm_layer=FrozenBatchNorm2d)
    if name == "retinanet_resnet50_fpn":
        top = LastLevelP6P7(256, 256)
        return detection.RetinaNet(backbone_utils._resnet_fpn_extractor(body, 5, [2, 3, 4], top), CLASSES)
    maker = {"fasterrcnn_resnet50_fpn": detection.FasterRCNN, "maskrcnn_resnet50_fpn": detection.MaskRCNN}[name]
    return maker(backbone_utils._resnet_fpn_extractor(body, 5), CLASSES)


def losses_of(model, images, targets):
    from torchvision.models.detection import image_list

    pictures = image_list.ImageList(images, [tuple(images.shape[2:])] * len(images))
    features = model.backbone(images)
    if hasattr(model, "head"):
        maps = list(features.values())
        return model.compute_loss(targets, model.head(maps), model.anchor_generator(pictures, maps))
    proposals, first = model.rpn(pictures, features, targets)
    return {**first, **model.roi_heads(features, proposals, pictures.image_sizes, targets)[1]}


def measure(a):
    import torch
    from safetensors.torch import load_file

    torch.set_num_threads(a.threads)
    values = load_file(a.batches)
    batches = []
    for b in range(sum(k.endswith("images") for k in values)):
        parts = [p for p in ("boxes", "labels", "masks") if f"{b}.{p}0" in values]
        images = values[f"{b}.images"]
        batches.append((images, [{p: values[f"{b}.{p}{i}"] for p in parts} for i in range(len(images))]))
    model = build(torch, a.model, a.norm).train()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-4, momentum=0.9)
    torch.manual_seed(0)
    times = []
    for i in range(WARMUP + a.steps):
        begin = time.perf_counter()
        loss = sum(losses_of(model, *batches[i % len(batches)]).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss = loss.item()
        times.append(1e3 * (time.perf_counter() - begin))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(dict(median_ms=statistics.median(times[WARMUP:]), fastest_ms=min(times[WARMUP:]), peak_mib=peak, loss=loss)))


def run(command):
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--engine")
    p.add_argument("--batches", help=argparse.SUPPRESS)  # the measuring process of this script
    p.add_argument("--model", default="fasterrcnn_resnet50_fpn")
    p.add_argument("--norm", default="frozen", choices=["frozen", "bn"])
    for name, value in dict(size=320, batch=2, threads=2, steps=6, rounds=3).items():
        p.add_argument(f"--{name}", type=int, default=value)
    p.add_argument("--json", action="store_true")
    a = p.parse_args()
    if a.batches:
        return measure(a)
    shared = ["--model", a.model, "--norm", a.norm, "--threads", str(a.threads), "--steps", str(a.steps)]
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "batches.safetensors")
        engine = [a.engine, "bench", "step", *shared, "--batch", str(a.batch), "--size", str(a.size), "--warmup", str(WARMUP)]
        for _ in range(a.rounds):
            ours = run([*engine, "--batches-out", file, "--json"])
            rounds.append(dict(engine=ours, torchvision=run([sys.executable, __file__, "--batches", file, *shared])))
    result = dict(model=a.model, norm=a.norm, size=a.size, batch=a.batch, threads=a.threads)
    for key in ("median_ms", "fastest_ms", "peak_mib", "loss"):
        sides = {s: statistics.median(r[s][key] for r in rounds) for s in ("engine", "torchvision")}
        result[key] = dict(sides, ratio=sides["engine"] / sides["torchvision"])
    if a.json:
        print(json.dumps(result))
    else:
        print(a.model, a.norm, f"{a.batch} pictures of {a.size} px, {a.threads} threads")
        for key in ("median_ms", "fastest_ms", "peak_mib", "loss"):
            print(f"  {key:10}", "  ".join(f"{k} {v:.3f}" for k, v in result[key].items()))


if __name__ == "__main__":
    main()
