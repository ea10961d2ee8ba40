#include "engine/train/change_preview.h"

#include "engine/train/number_text.h"

#include <algorithm>
#include <cstdio>

namespace batchscope::train {
namespace {

std::string mebibytes(std::int64_t bytes) {
  return number_text(static_cast<double>(bytes) / (1 << 20), 3) + " MiB";
}

std::string line(const std::string& name, const std::vector<std::string>& cells) {
  char text[32];
  std::snprintf(text, sizeof text, "%-12s", name.c_str());
  std::string row = text;
  for (const std::string& cell : cells) {
    std::snprintf(text, sizeof text, " %9s", cell.c_str());
    row += text;
  }
  return row + "\n";
}

/// Two narrow tables fit a dock, one wide one does not.
std::string updates(const std::vector<ChangePreview::Module>& modules) {
  std::string text = line("module", {"update", "new", "ratio", "lr", "new", "start"});
  for (const ChangePreview::Module& m : modules) {
    text += line(m.name,
                 {number_text(m.before.norm, 3),
                  number_text(m.after.norm, 3),
                  m.before.norm > 0 ? number_text(m.after.norm / m.before.norm, 3) : "-",
                  number_text(m.before.lr, 3),
                  number_text(m.after.lr, 3),
                  number_text(m.factor, 3)});
  }
  return text;
}

std::string ratios(const std::vector<ChangePreview::Module>& modules) {
  std::string text = line("module", {"trust", "new", "shrink", "new"});
  for (const ChangePreview::Module& m : modules) {
    text += line(m.name,
                 {number_text(m.before.trust, 3),
                  number_text(m.after.trust, 3),
                  number_text(m.before.shrink, 3),
                  number_text(m.after.shrink, 3)});
  }
  return text;
}

}  // namespace

std::string describe(const ChangePreview& preview) {
  if (!preview.optimizer_changes) {
    return "";
  }
  std::string text = "state memory: " + mebibytes(preview.state_bytes_before) + " (" +
                     std::to_string(preview.state_floats_before) + " per parameter) -> " +
                     mebibytes(preview.state_bytes_after) + " (" +
                     std::to_string(preview.state_floats_after) + ")\n";
  if (!preview.gradient_known) {
    return text + "First update: not known, the present optimizer has no history yet.\n";
  }
  text +=
      "First update, with the mean recent gradient standing in for the next one\n"
      "(L2 norm of the change; start: factor on the new rate):\n";
  return text + updates(preview.modules) +
         "Trust ratio, and part of the weights that decay takes in an update:\n" +
         ratios(preview.modules);
}

}  // namespace batchscope::train
