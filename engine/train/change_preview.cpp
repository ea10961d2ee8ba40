#include "engine/train/change_preview.h"

#include <algorithm>
#include <cstdio>

namespace batchscope::train {
namespace {

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}

std::string mebibytes(std::int64_t bytes) {
  return number(static_cast<double>(bytes) / (1 << 20)) + " MiB";
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
                 {number(m.before.norm),
                  number(m.after.norm),
                  m.before.norm > 0 ? number(m.after.norm / m.before.norm) : "-",
                  number(m.before.lr),
                  number(m.after.lr),
                  number(m.factor)});
  }
  return text;
}

std::string ratios(const std::vector<ChangePreview::Module>& modules) {
  std::string text = line("module", {"trust", "new", "shrink", "new"});
  for (const ChangePreview::Module& m : modules) {
    text += line(m.name,
                 {number(m.before.trust),
                  number(m.after.trust),
                  number(m.before.shrink),
                  number(m.after.shrink)});
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
