"""Adds small, well-formed zip .pth files to the corpus: a fuzzer that begins with none seldom finds their inside.

    python add_seeds.py                    Python's standard library alone; entries that are there already stay as they are

From tests/fixtures/models/weights without torch's padding to 64 bytes, and by hand (bf16, strided views, old names).
"""
import hashlib
import io
import pathlib
import struct
import zipfile

HERE = pathlib.Path(__file__).parent
FIXTURES = HERE.parent / "fixtures/models/weights"
CORPUS = HERE / "weight_index_corpus.zip"
WHEN = (1980, 1, 1, 0, 0, 0)


def zip_bytes(entries):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as file:
        for name, data in entries:
            file.writestr(zipfile.ZipInfo(name, WHEN), data)
    return out.getvalue()


def records(name):
    with zipfile.ZipFile(FIXTURES / name) as file:
        return [(i.filename.split("/", 1)[1], file.read(i)) for i in file.infolist()]


def packed(entries, change=lambda pickle: pickle):
    """The records that are read, under a short folder."""
    kept = [(n, d) for n, d in entries if n in ("data.pkl", "byteorder") or n.startswith("data/")]
    return zip_bytes([("a/" + n, change(d) if n == "data.pkl" else d) for n, d in kept])


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def below(*keys):
    """The pickle's object inside dicts, each with a number beside it."""
    def change(pickle):
        assert pickle[:2] == b"\x80\x02" and pickle[-1:] == b"."
        body = pickle[2:-1]
        for key in reversed(keys):
            body = b"}" + text("epoch") + b"K\x03s" + text(key) + body + b"s"
        return b"\x80\x02" + body + b"."
    return change


def tensor(key, storage, elements, shape, strides, first=0):
    def numbers(values):
        return b"(" + b"".join(b"K" + bytes([v]) for v in values) + b"t"
    return (b"ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + b"ctorch\n" + storage.encode() + b"\n" +
            text(key) + text("cpu") + b"K" + bytes([elements]) + b"tQK" + bytes([first]) + numbers(shape) +
            numbers(strides) + b"\x89ccollections\nOrderedDict\n)RtR")


def by_hand(tensors, storages):
    items = b"".join(text(name) + value for name, value in tensors.items())
    pickle = b"\x80\x02ccollections\nOrderedDict\n)R(" + items + b"u."
    return packed([("data.pkl", pickle), ("byteorder", b"little")] +
                  [(f"data/{i}", bytes(size)) for i, size in enumerate(storages)])


def seeds():
    for name in ("state_dict.pth", "old_names.pth", "views.pth", "numbers.pth", "module.pth", "trainer.pth"):
        yield packed(records(name))
    yield packed(records("state_dict.pth"), below("checkpoint", "state_dict"))
    yield packed(records("old_names.pth"), below("model"))
    yield by_hand({"w": tensor("0", "BFloat16Storage", 6, [2, 3], [3, 1])}, [12])
    yield by_hand({"transposed": tensor("0", "FloatStorage", 6, [3, 2], [1, 3]),
                   "slice": tensor("0", "FloatStorage", 6, [2], [2], 1),
                   "expanded": tensor("0", "FloatStorage", 6, [4, 4], [0, 0], 5)}, [24])
    yield by_hand({"module.roi_heads.mask_head.mask_fcn2.weight": tensor("0", "HalfStorage", 2, [1, 2], [2, 1]),
                   "module.rpn.head.conv.bias": tensor("1", "LongStorage", 1, [1], [1])}, [4, 8])


def main():
    with zipfile.ZipFile(CORPUS) as file:
        entries = {i.filename: file.read(i) for i in file.infolist()}
    entries.update((hashlib.sha1(seed).hexdigest()[:16], seed) for seed in seeds())
    CORPUS.write_bytes(zip_bytes(sorted(entries.items())))


if __name__ == "__main__":
    main()
