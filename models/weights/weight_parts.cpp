#include "models/weights/weight_parts.h"

#include "models/weights/weight_error.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <regex>
#include <set>
#include <vector>

namespace batchscope::models {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMostIndexBytes = 64U << 20;
constexpr std::size_t kMostParts = 1000;

/// Files one behind another.
class JoinedSource : public ByteSource {
 public:
  explicit JoinedSource(std::string origin) : ByteSource(std::move(origin)) {}
  std::uint64_t size() const override { return size_; }
  void add(std::unique_ptr<FileSource> part) {
    size_ += part->size();
    parts_.push_back(std::move(part));
  }

 private:
  bool copy(std::uint64_t offset, void* to, std::uint64_t count) const override {
    auto* bytes = static_cast<char*>(to);
    for (const auto& part : parts_) {
      const std::uint64_t size = part->size();
      if (offset < size && count > 0) {
        const std::uint64_t here = std::min(count, size - offset);
        part->read(offset, bytes, here);
        bytes += here;
        count -= here;
        offset = size;
      }
      offset -= std::min(offset, size);
    }
    return count == 0;
  }

  std::vector<std::unique_ptr<FileSource>> parts_;
  std::uint64_t size_ = 0;
};

/// The names of the tensors by part, of an index; empty: the file is none.
std::map<std::string, std::set<std::string>> parts_of(const FileSource& source) {
  const std::string& path = source.origin();
  if (!path.ends_with(".json") || source.size() > kMostIndexBytes) {
    return {};
  }
  const json index = json::parse(source.text(0, source.size()), nullptr, false);
  const auto map = index.is_object() ? index.find("weight_map") : index.end();
  if (map == index.end() || !map->is_object()) {
    return {};
  }
  std::map<std::string, std::set<std::string>> parts;
  for (const auto& [tensor, part] : map->items()) {
    const std::string name = part.is_string() ? part.get<std::string>() : std::string();
    // Names come from a stranger: files beside the index alone.
    if (name.empty() || std::filesystem::path(name).filename() != name || name == "..") {
      refuse_file(
          path,
          "names " + shown(name) + " for tensor " + shown(tensor) + ", expected a file beside it");
    }
    parts[name].insert(tensor);
  }
  if (parts.size() > kMostParts) {
    refuse_file(path,
                "has " + std::to_string(parts.size()) + " parts, at most " +
                    std::to_string(kMostParts) + " are allowed");
  }
  return parts;
}

/// Adds a part's tensors, which begin at `begin` of the whole.
void append(WeightIndex part, std::uint64_t begin, WeightIndex& whole) {
  const auto first = static_cast<std::uint32_t>(whole.storages.size());
  for (WeightStorage& storage : part.storages) {
    storage.begin += begin;
    whole.storages.push_back(storage);
  }
  for (WeightEntry& entry : part.entries) {
    entry.storage += first;
    whole.entries.push_back(std::move(entry));
  }
  whole.format = part.format;
  whole.metadata.merge(part.metadata);
}

}  // namespace

OpenedWeights open_weights(const std::filesystem::path& path, const std::string& key) {
  auto file = std::make_unique<FileSource>(path);
  const auto parts = parts_of(*file);
  if (parts.empty()) {
    WeightIndex index = index_weights(*file, key);
    return {std::move(file), std::move(index)};
  }
  auto joined = std::make_unique<JoinedSource>(path.string());
  WeightIndex whole;
  std::set<std::string> seen;
  for (const auto& [name, tensors] : parts) {
    auto part = std::make_unique<FileSource>(path.parent_path() / name);
    WeightIndex index = index_weights(*part, key);
    std::set<std::string> there;
    for (const WeightEntry& entry : index.entries) {
      there.insert(entry.name);
      if (!seen.insert(entry.name).second) {
        refuse_file(part->origin(), "has tensor " + shown(entry.name) + ", as another part has");
      }
    }
    for (const std::string& tensor : tensors) {
      if (!there.contains(tensor)) {
        refuse_file(part->origin(),
                    "lacks tensor " + shown(tensor) + ", which '" + printable(path.string()) +
                        "' expects in it");
      }
    }
    append(std::move(index), joined->size(), whole);
    joined->add(std::move(part));
  }
  return {std::move(joined), std::move(whole)};
}

std::string lone_part(const std::string& path) {
  static const std::regex kPart(".*-0*([0-9]{1,5})-of-0*([0-9]{1,5})\\.[a-z]+");
  const std::string name = std::filesystem::path(path).filename().string();
  std::smatch found;
  if (name.size() > 255 || !std::regex_match(name, found, kPart) || found[2] == "1") {
    return {};
  }
  return "It is part " + found[1].str() + " of " + found[2].str() +
         ": the index beside it (….index.json) has all.";
}

}  // namespace batchscope::models
