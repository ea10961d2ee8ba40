#include "app/weight_report.h"

#include "models/weights/key_names.h"
#include "models/weights/weight_error.h"

#include <algorithm>

namespace batchscope::app {
namespace {

using models::printable;
using models::TensorFile;
using models::WeightEntry;

std::vector<std::string> current_names_of(const TensorFile& file) {
  std::vector<std::string> names;
  for (const WeightEntry& entry : file.index().entries) {
    names.push_back(entry.name);
  }
  return models::current_names(names);
}

struct Sums {
  std::uint64_t elements = 0, bytes = 0;
};

Sums sums_of(const TensorFile& file) {
  Sums sums;
  for (const WeightEntry& entry : file.index().entries) {
    sums.elements += entry.elements();
    sums.bytes += entry.elements() * models::element_size(entry.type);
  }
  return sums;
}

std::string listed(const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) {
    text += (text.empty() ? "" : ", ") + printable(item);
  }
  return text;
}

std::string padded(const std::string& text, std::size_t width) {
  return text + std::string(width > text.size() ? width - text.size() : 0, ' ');
}

}  // namespace

std::string inspect_text(const TensorFile& file) {
  const models::WeightIndex& index = file.index();
  const std::vector<std::string> current = current_names_of(file);
  std::size_t wide = 4;
  for (const WeightEntry& entry : index.entries) {
    wide = std::max(wide, std::min<std::size_t>(entry.name.size(), 80));
  }
  std::string text = printable(file.origin()) + ": " + models::format_name(index.format) + "\n";
  if (const std::string part = models::lone_part(file.origin()); !part.empty()) {
    text += part + "\n";
  }
  if (!index.path.empty()) {
    text += "state_dict: " + printable(index.path) + "\n";
  }
  if (!index.others.empty()) {
    text += "beside it: " + listed(index.others) + "\n";
  }
  if (!index.other_sets.empty()) {
    text += models::also_holds(index.other_sets) + "\n";
  }
  if (!index.skipped.empty()) {
    text += "no tensors: " + listed(index.skipped) + "\n";
  }
  for (std::size_t i = 0; i < index.entries.size(); ++i) {
    const WeightEntry& entry = index.entries[i];
    text += padded(printable(entry.name), wide) + "  " +
            padded(models::python_name(entry.type), 8) + "  " + models::shape_text(entry.shape) +
            (current[i] != entry.name ? "  today " + printable(current[i]) : "") + "\n";
  }
  const Sums sums = sums_of(file);
  return text + std::to_string(index.entries.size()) + " tensors, " +
         std::to_string(sums.elements) + " elements, " + std::to_string(sums.bytes) + " bytes\n";
}

nlohmann::json inspect_json(const TensorFile& file) {
  const models::WeightIndex& index = file.index();
  const std::vector<std::string> current = current_names_of(file);
  nlohmann::json tensors = nlohmann::json::array();
  for (std::size_t i = 0; i < index.entries.size(); ++i) {
    const WeightEntry& entry = index.entries[i];
    tensors.push_back(
        {{"name", entry.name}, {"dtype", models::python_name(entry.type)}, {"shape", entry.shape}});
    if (current[i] != entry.name) {
      tensors.back()["current_name"] = current[i];
    }
  }
  const Sums sums = sums_of(file);
  return {{"file", file.origin()},
          {"format", models::format_name(index.format)},
          {"state_dict", index.path},
          {"tensors", std::move(tensors)},
          {"elements", sums.elements},
          {"bytes", sums.bytes},
          {"others", index.others},
          {"other_sets", index.other_sets},
          {"skipped", index.skipped},
          {"metadata", index.metadata}};
}

}  // namespace batchscope::app
