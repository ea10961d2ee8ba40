#include "models/weights/state_dict_index.h"

#include "models/weights/weight_error.h"

#include <algorithm>
#include <limits>
#include <map>

namespace batchscope::models {
namespace {

/// Bytes from the storage's first to the tensor's last element; nullopt when that cannot be
/// counted.
std::optional<std::uint64_t> needed_bytes(const PickledTensor& tensor, std::uint64_t skipped) {
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  auto last = static_cast<std::uint64_t>(tensor.first);
  bool over = __builtin_add_overflow(last, 1, &last);
  for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
    std::uint64_t reach = 0;
    over = over ||
           __builtin_mul_overflow(static_cast<std::uint64_t>(tensor.shape[i] - 1),
                                  static_cast<std::uint64_t>(tensor.strides[i]),
                                  &reach) ||
           __builtin_add_overflow(last, reach, &last);
  }
  over = over || __builtin_mul_overflow(last, element_size(tensor.type), &last) ||
         __builtin_add_overflow(last, skipped, &last);
  return over || last > kMost ? std::nullopt : std::optional(last);
}

class Indexer {
 public:
  Indexer(const std::function<WeightStorage(const PickledStorage&)>& place, std::string origin)
      : place_(place), origin_(std::move(origin)) {}

  void add(const std::string& name, const PickledTensor& tensor) {
    WeightEntry entry{name, tensor.type, tensor.shape, tensor.strides};
    const auto count = element_count(tensor.shape, tensor.type);
    if (!count) {
      refuse_file(origin_,
                  "has tensor " + shown(name) + " of shape " + shape_text(tensor.shape) +
                      ", more than there can be");
    }
    std::uint64_t skipped = 0, begin = 0;
    bool over = __builtin_mul_overflow(
        tensor.storage.view_first, element_size(tensor.storage.type), &skipped);
    over = over ||
           __builtin_mul_overflow(
               static_cast<std::uint64_t>(tensor.first), element_size(tensor.type), &begin) ||
           __builtin_add_overflow(begin, skipped, &begin);
    // An empty tensor needs no storage; what it points to may be missing.
    if (*count > 0) {
      entry.storage = storage_of(tensor.storage);
      const auto needed = needed_bytes(tensor, skipped);
      const std::uint64_t there = index.storages[entry.storage].bytes;
      if (over || !needed || *needed > there) {
        refuse_file(origin_,
                    "has tensor " + shown(name) + " of shape " + shape_text(tensor.shape) +
                        " with strides " + shape_text(tensor.strides) +
                        " beyond the end of its storage of " + std::to_string(there) + " bytes");
      }
      entry.first = begin;
    }
    const auto [known, is_new] = by_name_.emplace(name, index.entries.size());
    if (is_new) {
      index.entries.push_back(std::move(entry));
    } else {
      index.entries[known->second] = std::move(entry);
    }
  }

  WeightIndex index;

 private:
  std::uint32_t storage_of(const PickledStorage& storage) {
    const auto known = storages_.find(storage.key);
    if (known != storages_.end()) {
      return check(storage, known->second);
    }
    index.storages.push_back(place_(storage));
    const auto number = static_cast<std::uint32_t>(index.storages.size() - 1);
    storages_.emplace(storage.key, number);
    return check(storage, number);
  }

  std::uint32_t check(const PickledStorage& storage, std::uint32_t number) const {
    std::uint64_t bytes = 0;
    if (__builtin_mul_overflow(storage.elements, element_size(storage.type), &bytes) ||
        bytes > index.storages[number].bytes) {
      refuse_file(origin_,
                  "is damaged: storage " + shown(storage.key) + " has " +
                      std::to_string(index.storages[number].bytes) + " bytes, its " +
                      std::to_string(storage.elements) + " elements need more");
    }
    return number;
  }

  const std::function<WeightStorage(const PickledStorage&)>& place_;
  std::string origin_;
  std::map<std::string, std::uint32_t> storages_;
  std::map<std::string, std::size_t> by_name_;
};

}  // namespace

WeightIndex index_state_dict(const PickleTree& tree,
                             PickleRef root,
                             const std::string& key,
                             const std::function<WeightStorage(const PickledStorage&)>& place,
                             const std::string& origin) {
  StateDict found = find_state_dict(tree, root, key);
  if (found.tensors.empty() && !key.empty()) {
    std::string known;
    for (const std::string& path : weight_sets(tree, root)) {
      known += (known.empty() ? "; it has them at " : ", ") + shown(path);
    }
    refuse_file(origin, "has no weights at the key " + shown(key) + known);
  }
  if (found.tensors.empty()) {
    const bool numpy = std::ranges::any_of(tree.nodes, [](const PickleNode& node) {
      return node.kind == PickleKind::kGlobal && node.text == "numpy.ndarray";
    });
    refuse_file(origin,
                "holds no state_dict: it is " + shown(describe(tree, root)) +
                    (numpy ? " of numpy arrays, expected tensors (torch.from_numpy makes them)"
                           : " without tensors"));
  }
  Indexer indexer(place, origin);
  for (const auto& [name, ref] : found.tensors) {
    indexer.add(name, tensor_at(tree, ref, name, origin));
  }
  indexer.index.path = std::move(found.path);
  indexer.index.others = std::move(found.others);
  indexer.index.other_sets = std::move(found.other_sets);
  indexer.index.skipped = std::move(found.skipped);
  indexer.index.versions = std::move(found.versions);
  return std::move(indexer.index);
}

}  // namespace batchscope::models
