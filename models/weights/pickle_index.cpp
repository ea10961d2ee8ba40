#include "models/weights/pickle_index.h"

#include "models/weights/byte_reader.h"
#include "models/weights/state_dict_index.h"
#include "models/weights/unpickler.h"
#include "models/weights/weight_error.h"
#include "models/weights/zip_directory.h"

#include <map>

namespace batchscope::models {
namespace {

constexpr const char* kPickle = "data.pkl";
constexpr std::int64_t kLegacyProtocol = 1001;
// 0x1950a86a20f9469cfc6c, little-endian.
constexpr const char* kLegacyMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

/// The folder in the zip file that holds data.pkl, with its slash.
std::string folder_of(const ZipDirectory& directory, const ByteSource& source) {
  for (const auto& [name, record] : directory.records()) {
    const std::size_t slash = name.find('/');
    if (name.substr(slash == std::string::npos ? 0 : slash + 1) == kPickle) {
      return name.substr(0, name.size() - std::string(kPickle).size());
    }
  }
  refuse_file(source.origin(),
              "is a zip file without a record data.pkl: torch.save did not write it");
}

void check_byte_order(const ZipDirectory& directory,
                      const std::string& folder,
                      const ByteSource& source) {
  if (!directory.records().contains(folder + "byteorder")) {
    return;
  }
  const ZipRecord& record = directory.plain(folder + "byteorder");
  const std::string order =
      source.text(content_place(source, record), std::min<std::uint64_t>(record.bytes, 16));
  if (order != "little") {
    refuse_file(source.origin(), "has byte order " + shown(order) + ", expected little");
  }
}

/// Where the storages of a legacy file lie, by key.
std::map<std::string, WeightStorage> legacy_storages(ByteReader& reader,
                                                     const PickleTree& tree,
                                                     PickleRef keys) {
  const ByteSource& source = reader.source();
  std::map<std::string, PickledStorage> named;
  for (PickleRef ref = 0; ref < tree.nodes.size(); ++ref) {
    if (const auto storage = storage_at(tree, ref)) {
      named.emplace(storage->key, *storage);
    }
  }
  std::map<std::string, WeightStorage> places;
  std::uint64_t place = reader.place();
  for (const PickleRef ref : tree[keys].items) {
    const std::string& key = tree[ref].text;
    const auto found = named.find(key);
    const auto length = little_endian<std::uint64_t>(source.text(place, 8).data());
    if (found == named.end() || length != found->second.elements) {
      refuse_file(source.origin(),
                  "is damaged: storage " + shown(key) + " has " + std::to_string(length) +
                      " elements, its tensors expect " +
                      (found == named.end() ? "none" : std::to_string(found->second.elements)));
    }
    std::uint64_t bytes = 0;
    place += 8;
    if (__builtin_mul_overflow(length, element_size(found->second.type), &bytes) ||
        bytes > source.size() - place) {
      refuse_file(source.origin(),
                  "is truncated: storage " + shown(key) + " of " + std::to_string(length) +
                      " elements goes beyond its end");
    }
    if (!places.emplace(key, WeightStorage{place, bytes}).second) {
      refuse_file(source.origin(), "is damaged: it lists storage " + shown(key) + " twice");
    }
    place += bytes;
  }
  return places;
}

}  // namespace

WeightIndex index_zip(const ByteSource& source, const std::string& key) {
  const ZipDirectory directory(source);
  const std::string folder = folder_of(directory, source);
  check_byte_order(directory, folder, source);
  const ZipRecord& record = directory.plain(folder + kPickle);
  const std::uint64_t begin = content_place(source, record);
  ByteReader reader(source, begin, begin + record.bytes, "pickle");
  PickleTree tree;
  const PickleRef root = unpickle(reader, tree);
  const auto place = [&](const PickledStorage& storage) {
    const ZipRecord& data = directory.plain(folder + "data/" + storage.key);
    return WeightStorage{data.header, data.bytes, true};
  };
  WeightIndex index = index_state_dict(tree, root, key, place, source.origin());
  index.format = WeightFormat::kPth;
  return index;
}

WeightIndex index_legacy(const ByteSource& source, const std::string& key) {
  ByteReader reader(source, 0, source.size(), "pickle");
  PickleTree tree;
  const PickleRef magic = unpickle(reader, tree);
  if (tree[magic].text != kLegacyMagic) {
    refuse_file(source.origin(), "is a pickle, but not one that torch.save wrote");
  }
  const PickleRef protocol = unpickle(reader, tree);
  const PickleRef system = unpickle(reader, tree);
  const PickleRef little = tree.at(system, "little_endian");
  if (tree[protocol].number != kLegacyProtocol || little == kNoNode || tree[little].number != 1) {
    refuse_file(source.origin(), "is of another protocol than 1001, or of a big-endian machine");
  }
  const PickleRef root = unpickle(reader, tree);
  const PickleRef keys = unpickle(reader, tree);
  const auto storages = legacy_storages(reader, tree, keys);
  const auto place = [&](const PickledStorage& storage) {
    const auto found = storages.find(storage.key);
    if (found == storages.end()) {
      refuse_file(source.origin(), "lacks storage " + shown(storage.key));
    }
    return found->second;
  };
  WeightIndex index = index_state_dict(tree, root, key, place, source.origin());
  index.format = WeightFormat::kLegacyPth;
  return index;
}

}  // namespace batchscope::models
