"""Times training steps of the lab script that lab_faster_rcnn reproduces: the Python side of
`batchscope-engine bench step --model lab_faster_rcnn`.

usage: python lab_step.py --script headline_lab.py [--engine BATCHSCOPE_ENGINE --rounds 5]
                          [--batch 128] [--steps 60] [--json]

Both sides: losses, gradients and an SGD step with momentum on prepared pictures of 32 px, one
thread, four batches in turn, 8 steps unmeasured. With --engine the two are measured alternately and
the ratio of the medians (pictures/s of the engine over pictures/s of the script) is printed.
"""
import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import time

os.environ["OMP_NUM_THREADS"] = "1"
import torch  # noqa: E402  (after the thread count)

WARMUP, BATCHES = 8, 4


def load_script(path):
    spec = importlib.util.spec_from_file_location("lab", path)
    lab = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(lab)
    return lab


class ScriptStep:
    def __init__(self, lab, batch):
        images, boxes, labels = lab.make(batch * BATCHES, 1)
        targets = lab.rpn_targets(boxes, labels)
        cut = [slice(i * batch, (i + 1) * batch) for i in range(BATCHES)]
        self.batches = [(images[c], boxes[c], labels[c], tuple(t[c] for t in targets)) for c in cut]
        torch.manual_seed(1000)
        self.lab, self.net = lab, lab.Net()
        self.optimizer = lab.Opt(self.net, dict(opt="sgd"))
        self.generator = torch.Generator().manual_seed(0)

    def step(self, i):
        loss = self.lab.loss_fn(self.net, *self.batches[i % BATCHES], self.generator, [1.0] * 4)
        for p, g in zip(self.optimizer.ps, torch.autograd.grad(loss, self.optimizer.ps)):
            p.grad = g
        self.optimizer.step(0.05)
        return loss.item()


def time_script(step, steps):
    times = []
    for i in range(WARMUP + steps):
        begin = time.perf_counter()
        loss = step.step(i)
        times.append(1e3 * (time.perf_counter() - begin))
    times = sorted(times[WARMUP:])
    return dict(median_ms=times[len(times) // 2], fastest_ms=times[0], loss=loss)


def time_engine(engine, batch, steps):
    command = [engine, "bench", "step", "--model", "lab_faster_rcnn", "--threads", "1"]
    command += ["--batch", str(batch), "--steps", str(steps), "--json"]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(out)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--script", required=True)
    p.add_argument("--engine")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--batch", type=int, default=128)
    p.add_argument("--steps", type=int, default=60)
    p.add_argument("--json", action="store_true")
    a = p.parse_args()
    torch.set_num_threads(1)
    step = ScriptStep(load_script(a.script), a.batch)
    rows = []
    for _ in range(a.rounds if a.engine else 1):
        row = dict(script=time_script(step, a.steps))
        if a.engine:
            row["engine"] = time_engine(a.engine, a.batch, a.steps)
            row["ratio"] = row["script"]["median_ms"] / row["engine"]["median_ms"]
        rows.append(row)
        if not a.json:
            print("  ".join(f"{k} {v['median_ms']:.2f} ms" if isinstance(v, dict) else f"{k} {v:.2f}" for k, v in row.items()), flush=True)
    result = dict(batch=a.batch, rounds=rows)
    if a.engine:
        result["ratio"] = statistics.median(r["ratio"] for r in rows)
    if a.json:
        print(json.dumps(result))
    elif a.engine:
        print(f"pictures/s, engine over script: {result['ratio']:.2f} (median of {len(rows)} rounds)")


if __name__ == "__main__":
    main()
