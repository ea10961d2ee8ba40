"""Times `batchscope-engine metrics` beside faster-coco-eval and pycocotools, on the same files, in turn.

usage: python coco_eval.py ENGINE [--images N] [--gt FILE --dt FILE] [--type bbox|segm] [--rounds N] [--without pycocotools]
needs: pip install numpy pycocotools faster-coco-eval

Every run is a process of its own from start to end: wall clock and peak resident memory as the system counts them. The
rivals' start of Python is counted as the engine's start is; the seconds inside (reading and evaluating) are given beside.
The 12 figures of all are compared.
"""
import argparse, json, os, subprocess, sys, tempfile, time

NAMES = 'AP AP50 AP75 APs APm APl AR1 AR10 AR100 ARs ARm ARl'.split()
RIVAL = """
import contextlib, io, json, sys, time
name, gt, dt, kind, out = sys.argv[1:]
begin = time.perf_counter()
if name == 'pycocotools':
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval
else:
    from faster_coco_eval import COCO, COCOeval_faster as COCOeval
imported = time.perf_counter()
with contextlib.redirect_stdout(io.StringIO()):
    truth = COCO(gt)
    e = COCOeval(truth, truth.loadRes(dt), kind)
    read = time.perf_counter()
    e.evaluate()
    e.accumulate()
    e.summarize()
done = time.perf_counter()
json.dump(dict(import_s=imported - begin, read_s=read - imported, evaluate_s=done - read, stats=list(map(float, e.stats[:12]))),
          open(out, 'w'))
"""


def run(command):
    begin = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit('failed: ' + ' '.join(command[:6]))
    return time.perf_counter() - begin, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime


def main():
    p = argparse.ArgumentParser()
    p.add_argument('engine')
    p.add_argument('--images', type=int, default=5000)
    p.add_argument('--gt')
    p.add_argument('--dt')
    p.add_argument('--type', default='bbox')
    p.add_argument('--rounds', type=int, default=3)
    p.add_argument('--without', action='append', default=[])
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if not a.gt:
            subprocess.run([a.engine, 'bench', 'eval', '--images', str(a.images), '--rounds', '1', '--keep', folder, '--json',
                            os.path.join(folder, 'bench.json')], check=True)
            a.gt, a.dt = os.path.join(folder, 'gt.json'), os.path.join(folder, 'dt.json')
        out = os.path.join(folder, 'out.json')
        files = ['--gt', a.gt, '--dt', a.dt, '--type', a.type, '--json', out]
        contenders = {'batchscope, all threads': [a.engine, 'metrics', *files, '--threads', '0'],
                      'batchscope, 1 thread': [a.engine, 'metrics', *files, '--threads', '1']}
        for name in ('faster-coco-eval', 'pycocotools'):
            if name not in a.without:
                contenders[name] = [sys.executable, '-c', RIVAL, name, a.gt, a.dt, a.type, out]
        best, stats = {}, {}
        for _ in range(a.rounds):  # in turn, so that all meet the same machine
            for name, command in contenders.items():
                seconds, mib, cpu = run(command)
                found = json.load(open(out))
                stats[name] = found.get('stats') or [found[n] for n in NAMES]
                best.setdefault(name, []).append((seconds, mib, cpu, found))
    print('%-26s %9s %9s %9s   inside' % ('', 'seconds', 'peak MiB', 'CPU s'))
    reference = best['faster-coco-eval'] if 'faster-coco-eval' in best else None
    for name, rows in best.items():
        seconds, mib, cpu, found = sorted(rows, key=lambda r: r[0])[len(rows) // 2]
        inside = ', '.join('%s %.2f' % (k[:-2], v) for k, v in found.items() if k.endswith('_s'))
        ratio = ''
        if reference and name.startswith('batchscope'):
            r = sorted(reference, key=lambda r: r[0])[len(reference) // 2]
            ratio = '%.3fx the time, %.3fx the memory of faster-coco-eval' % (seconds / r[0], mib / r[1])
        print('%-26s %9.3f %9.0f %9.2f   %s' % (name, seconds, mib, cpu, inside or ratio))
    first = stats['batchscope, 1 thread']
    for name, other in stats.items():
        print('largest difference of a figure, %s: %.1e' % (name, max(abs(x - y) for x, y in zip(first, other))))


if __name__ == '__main__':
    main()
