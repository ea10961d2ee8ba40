#include "models/weights/weight_encoder.h"

#include "models/weights/pickle_writer.h"
#include "models/weights/weight_error.h"
#include "models/weights/zip_writer.h"

#include <algorithm>
#include <stdexcept>

namespace batchscope::models {
namespace {

class SafetensorsEncoder : public WeightEncoder {
 public:
  SafetensorsEncoder(const std::filesystem::path& path, const std::string& header)
      : file_(path, {}) {
    file_.append(header);
  }
  void add(const void* bytes, std::uint64_t count) override { file_.append(bytes, count); }
  void finish() override { file_.finish(); }

 private:
  FileWriter file_;
};

/// The name of a file in its zip records: torch.save takes the file's, too.
std::string folder_of(const std::filesystem::path& path) {
  const std::string stem = path.stem().string();
  const bool plain = !stem.empty() && std::ranges::all_of(stem, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
  return plain ? stem : "archive";
}

class PthEncoder : public WeightEncoder {
 public:
  PthEncoder(const std::filesystem::path& path, const std::string& pickle)
      : file_(path, {}), zip_(file_, folder_of(path)) {
    zip_.add("data.pkl", pickle);
    zip_.add(".format_version", "1");
    zip_.add(".storage_alignment", "64");
    zip_.add("byteorder", "little");
  }
  void add(const void* bytes, std::uint64_t count) override {
    zip_.add("data/" + std::to_string(tensors_++), bytes, count);
  }
  void finish() override {
    zip_.add("version", "3\n");
    zip_.add(".data/serialization_id", zip_.digest());
    zip_.finish();
    file_.finish();
  }

 private:
  FileWriter file_;
  ZipWriter zip_;
  std::uint64_t tensors_ = 0;
};

}  // namespace

WeightFormat format_of(const std::filesystem::path& path) {
  const std::string ending = path.extension().string();
  if (ending == ".safetensors") {
    return WeightFormat::kSafetensors;
  }
  if (ending == ".pth" || ending == ".pt") {
    return WeightFormat::kPth;
  }
  throw std::invalid_argument("Cannot write '" + printable(path.string()) +
                              "': expected a name that ends in .safetensors, .pth or .pt, found " +
                              shown(ending) + ".");
}

std::unique_ptr<WeightEncoder> make_encoder(const std::filesystem::path& path,
                                            WeightFormat format,
                                            const std::vector<TensorSpec>& tensors,
                                            const WeightNotes& notes) {
  if (format == WeightFormat::kSafetensors) {
    return std::make_unique<SafetensorsEncoder>(path, safetensors_header(tensors, notes.metadata));
  }
  return std::make_unique<PthEncoder>(path, state_dict_pickle(tensors, notes.versions));
}

}  // namespace batchscope::models
