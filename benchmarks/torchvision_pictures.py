"""Compares what the engine and torchvision find in the same pictures with the same weight file.

usage: python torchvision_pictures.py --engine BATCHSCOPE_ENGINE --data INSTANCES.json --images DIR
                                      [--model fasterrcnn_resnet50_fpn | maskrcnn_… | retinanet_…] [--weights F.pth] [--pictures 6] [--threads 2]

--weights: a COCO_V1 file of torchvision (91 classes, frozen norms of eps 0) under its own name. Without it, weights are drawn by
the formula of tests/fixtures/models/make_detectors.py. Both sides read the stored pictures, resize them and compute in float32;
`predict --image-ids --categories` writes the engine's side. Compared are labels and their order, then boxes and scores; in a
second line without order, for equal scores may stand in another one.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


def build(torch, kind):
    from torchvision.models.detection import backbone_utils, faster_rcnn, mask_rcnn, retinanet
    from torchvision.models.resnet import resnet50
    from torchvision.ops import FrozenBatchNorm2d
    from torchvision.ops.feature_pyramid_network import LastLevelP6P7

    body = resnet50(norm_layer=FrozenBatchNorm2d)
    if kind == "retinanet":
        top = LastLevelP6P7(256, 256)
        model = retinanet.RetinaNet(backbone_utils._resnet_fpn_extractor(body, 3, returned_layers=[2, 3, 4], extra_blocks=top), 91)
    else:
        maker = mask_rcnn.MaskRCNN if kind == "maskrcnn" else faster_rcnn.FasterRCNN
        model = maker(backbone_utils._resnet_fpn_extractor(body, 3), 91)
    for module in model.modules():
        if isinstance(module, FrozenBatchNorm2d):
            module.eps = 0.0
    return model


def weights_of(torch, model, a, folder):
    if a.weights:
        model.load_state_dict(torch.load(a.weights))
        return a.weights
    sys.path.insert(0, os.path.join(HERE, "../tests/fixtures/models"))
    from make_detectors import fill

    with torch.no_grad():
        fill(model.double())
    model.float()
    path = os.path.join(folder, a.model + "_coco-drawn.pth")
    torch.save(model.state_dict(), path)
    return path


def torchvision_side(torch, model, images, source):
    from torchvision.io import ImageReadMode, decode_image

    model.eval()
    found = {}
    for image in images:
        value = decode_image(os.path.join(source, image["file_name"]), ImageReadMode.RGB).float() / 255
        with torch.no_grad():
            out = model([value])[0]
        rows = zip(out["labels"].tolist(), out["scores"].tolist(), out["boxes"].tolist())
        found[image["id"]] = [dict(label=l, score=s, box=b) for l, s, b in rows]
    return found


def engine_side(a, weights, images, folder):
    pictures, out = os.path.join(folder, "pictures"), os.path.join(folder, "found.json")
    os.mkdir(pictures)
    for image in images:
        shutil.copy(os.path.join(a.images, image["file_name"]), pictures)
    subprocess.run([a.engine, "predict", "--model", a.model, "--weights", weights, "--images", pictures, "--out", out,
                    "--categories", a.data, "--image-ids", a.data], check=True)
    found = {}
    for row in json.load(open(out)):
        x, y, w, h = row["bbox"]
        found.setdefault(row["image_id"], []).append(dict(label=row["category_id"], score=row["score"], box=[x, y, x + w, y + h]))
    return found


def apart(p, q):
    return max(abs(u - v) for u, v in zip(p["box"], q["box"]))


def compare(wanted, found, categories):
    other = boxes = scores = loose = count = 0
    for image, rows in wanted.items():
        rows = [row for row in rows if row["label"] in categories]
        own = list(found.get(image, []))
        count += len(rows)
        if [r["label"] for r in rows] != [r["label"] for r in own]:
            other += 1
            continue
        for row, mine in zip(rows, own):
            boxes, scores = max(boxes, apart(row, mine)), max(scores, abs(row["score"] - mine["score"]))
        for row in rows:
            distance, i = min((apart(row, mine), i) for i, mine in enumerate(own) if mine["label"] == row["label"])
            loose = max(loose, distance)
            own.pop(i)
    print(f"{len(wanted)} pictures, {count} objects; pictures with other labels or order: {other}")
    print(f"in order: boxes to {boxes:.2g} px, scores to {scores:.2g}; nearest of the label: boxes to {loose:.2g} px")


def main():
    parser = argparse.ArgumentParser()
    for name in ("--engine", "--data", "--images"):
        parser.add_argument(name, required=True)
    parser.add_argument("--model", default="fasterrcnn_resnet50_fpn")
    parser.add_argument("--weights")
    parser.add_argument("--pictures", type=int, default=6)
    parser.add_argument("--threads", type=int, default=2)
    a = parser.parse_args()
    import torch

    torch.set_num_threads(a.threads)
    model = build(torch, a.model.split("_")[0])
    truth = json.load(open(a.data))
    images = sorted(truth["images"], key=lambda image: image["id"])[: a.pictures]
    with tempfile.TemporaryDirectory() as folder:
        weights = weights_of(torch, model, a, folder)
        found = engine_side(a, weights, images, folder)
    compare(torchvision_side(torch, model, images, a.images), found, {c["id"] for c in truth["categories"]})


if __name__ == "__main__":
    main()
