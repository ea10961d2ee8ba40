#include "models/weights/load_weights.h"
#include "models/weights/weight_error.h"

#include <algorithm>
#include <sstream>

namespace batchscope::models {
namespace {

std::string changed(const LoadReport::Mismatch& pair) {
  return shape_text(pair.in_file) + " in the file, " + shape_text(pair.in_model) + " in the model";
}

}  // namespace

std::string LoadReport::summary() const {
  const std::size_t all =
      matched.size() + missing.size() + wrong_shape.size() + reinitialised.size();
  std::ostringstream text;
  text << matched.size() << " of " << all << " tensors from " << file;
  const auto part = [&](std::size_t count, const char* what) {
    if (count > 0) {
      text << "; " << count << " " << what;
    }
  };
  part(missing.size(), "missing");
  part(unexpected.size(), "unexpected");
  part(wrong_shape.size(), "of another shape");
  part(renamed.size(), "renamed");
  text << ".";
  if (!reinitialised.empty()) {
    const Mismatch& first = reinitialised.front();
    text << " The classes are others: the predictor (" << shown(first.name) << ": "
         << first.in_file.front() << " outputs in the file, " << first.in_model.front()
         << " in the model) starts anew in " << reinitialised.size() << " tensors.";
  }
  for (const std::string& note : notes) {
    text << " " << note;
  }
  if (!other_sets.empty()) {
    text << " " << also_holds(other_sets);
  }
  return text.str();
}

std::string LoadReport::table(Rows rows) const {
  struct Line {
    std::string state, name, more;
  };
  std::vector<Line> lines;
  if (rows == Rows::kAll) {
    for (const auto& name : matched) {
      lines.push_back({"matched", name, "copied"});
    }
  }
  for (const auto& pair : reinitialised) {
    lines.push_back({"starts anew", pair.name, changed(pair)});
  }
  for (const auto& pair : wrong_shape) {
    lines.push_back({"wrong shape", pair.name, changed(pair)});
  }
  for (const auto& name : missing) {
    lines.push_back({"missing", name, "keeps its initial values"});
  }
  for (const auto& name : unexpected) {
    lines.push_back({"unexpected", name, "not in the model"});
  }
  for (const auto& [from, to] : renamed) {
    lines.push_back({"renamed", from, "to " + to});
  }
  std::size_t wide = 0;
  for (const Line& line : lines) {
    wide = std::max(wide, line.name.size());
  }
  std::string text;
  for (const Line& line : lines) {
    text += line.state + std::string(13 - line.state.size(), ' ') + printable(line.name) +
            std::string(wide - line.name.size() + 2, ' ') + printable(line.more) + "\n";
  }
  return text;
}

}  // namespace batchscope::models
