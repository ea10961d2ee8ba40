#include "models/weights/convert_weights.h"

#include "models/weights/key_names.h"
#include "models/weights/weight_error.h"

#include <set>

namespace batchscope::models {
namespace {

std::vector<std::string> names_of(const TensorFile& in, const ConvertOptions& options) {
  std::vector<std::string> names;
  for (const WeightEntry& entry : in.index().entries) {
    names.push_back(entry.name);
  }
  if (options.keep_names) {
    return names;
  }
  names = current_names(names);
  std::set<std::string> known;
  for (const std::string& name : names) {
    if (!known.insert(name).second) {
      refuse_file(in.origin(),
                  "has tensor " + shown(name) +
                      " under its old and its new name; convert it with " + "its names kept");
    }
  }
  return names;
}

}  // namespace

ConvertReport convert_weights(const TensorFile& in,
                              const std::filesystem::path& out,
                              const ConvertOptions& options) {
  const WeightFormat format = format_of(out);
  const std::vector<std::string> names = names_of(in, options);
  const std::vector<WeightEntry>& entries = in.index().entries;
  ConvertReport report;
  std::vector<TensorSpec> tensors;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    tensors.push_back({names[i], entries[i].type, entries[i].shape});
    report.renamed += names[i] == entries[i].name ? 0 : 1;
    report.bytes += entries[i].elements() * element_size(entries[i].type);
  }
  WeightNotes notes{in.metadata(), {}};
  notes.metadata.insert_or_assign("format", "pt");  // what Python's libraries ask for
  if (report.renamed == 0) {
    notes.versions = in.index().versions;
  }
  TensorFileWriter writer(out, format, std::move(tensors), notes);
  for (const WeightEntry& entry : entries) {
    writer.write(in.read(entry));
  }
  writer.finish();
  report.tensors = entries.size();
  return report;
}

}  // namespace batchscope::models
