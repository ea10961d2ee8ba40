#include "app/metrics_report.h"

#include "app/json_output.h"
#include "app/terminal_text.h"

#include <array>
#include <initializer_list>
#include <sstream>
#include <string_view>

namespace batchscope {
namespace {

using app::figure_text;
using nlohmann::json;

struct Meaning {
  const char* name;
  const char* text;
};
constexpr std::array<Meaning, 12> kCoco = {{
    {"AP", "precision, overlap 0.50 to 0.95, "},
    {"AP50", "overlap 0.50"},
    {"AP75", "overlap 0.75"},
    {"APs", "objects below 32 x 32 px"},
    {"APm", "up to 96 x 96 px"},
    {"APl", "above"},
    {"AR1", "recall, 1 detection a picture"},
    {"AR10", "10 detections"},
    {"AR", ""},
    {"ARs", "objects below 32 x 32 px"},
    {"ARm", "up to 96 x 96 px"},
    {"ARl", "above"},
}};

/// A line of cells: a wide one, then right-aligned ones.
void print_row(std::FILE* out, const std::string& name, const std::vector<std::string>& cells) {
  std::fprintf(out, "%-24.60s", name.c_str());
  for (const std::string& cell : cells) {
    std::fprintf(out, " %8s", cell.c_str());
  }
  std::fputc('\n', out);
}

std::string label(std::int64_t id, const std::string& name) {
  return name.empty() ? std::to_string(id) : std::to_string(id) + " " + name;
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    out += c == '"' ? "\"\"" : std::string(1, c);
  }
  return out + "\"";
}

}  // namespace

json CocoReport::json(bool per_class) const {
  nlohmann::json object = figures_.metrics;
  if (per_class) {
    object["per_class"] = nlohmann::json::array();
    for (const train::CategoryFigures& c : figures_.categories) {
      nlohmann::json one = c.metrics;
      one["id"] = c.category;
      one["name"] = names_.at(c.category);
      object["per_class"].push_back(std::move(one));
    }
  }
  return object;
}

void CocoReport::print(std::FILE* out, bool per_class) const {
  for (const Meaning& m : kCoco) {
    const bool last_recall = m.name == std::string_view("AR");
    const std::string name = last_recall ? m.name + most_ : m.name;
    const bool of_most = last_recall || name == "AP";
    std::fprintf(out,
                 "%-6s %-7s %s%s\n",
                 name.c_str(),
                 figure_text(figures_.metrics.at(name)).c_str(),
                 m.text,
                 of_most ? (most_ + " detections").c_str() : "");
  }
  if (!per_class) {
    return;
  }
  const std::vector<std::string> names = {"AP", "AP50", "AP75", "APs", "APm", "APl", "AR" + most_};
  std::fputc('\n', out);
  print_row(out, "category", names);
  for (const train::CategoryFigures& c : figures_.categories) {
    std::vector<std::string> cells;
    cells.reserve(names.size());
    for (const std::string& name : names) {
      cells.push_back(figure_text(c.metrics.at(name)));
    }
    print_row(out, label(c.category, names_.at(c.category)), cells);
  }
}

void CocoReport::write_curves(const std::string& path) const {
  std::ostringstream text;
  text.precision(17);
  text << "category_id,category,overlap,recall,precision,score\n";
  for (const train::CategoryFigures& c : figures_.categories) {
    const std::string start =
        std::to_string(c.category) + "," + quoted(names_.at(c.category)) + ",";
    for (std::size_t k = 0; k < c.precision.size(); ++k) {
      for (std::size_t r = 0; r < train::kRecalls; ++r) {
        text << start << static_cast<double>(50 + 5 * k) / 100 << ','
             << static_cast<double>(r) / 100 << ',' << c.precision[k][r] << ',' << c.score[k][r]
             << '\n';
      }
    }
  }
  write_text(text.str(), path);
}

json PanopticReport::json(bool per_class) const {
  nlohmann::json object;
  for (const auto& [part, suffix] : {std::pair(train::PanopticPart::kAll, ""),
                                     std::pair(train::PanopticPart::kThings, "_th"),
                                     std::pair(train::PanopticPart::kStuff, "_st")}) {
    const train::PanopticQuality q = train::panoptic_quality(totals_, categories_, part);
    object[std::string("PQ") + suffix] = q.pq;
    object[std::string("SQ") + suffix] = q.sq;
    object[std::string("RQ") + suffix] = q.rq;
  }
  if (per_class) {
    object["per_class"] = nlohmann::json::array();
    for (const train::PanopticCategory& c : categories_) {
      const auto counts = totals_.find(c.id);
      const auto n = counts == totals_.end() ? train::PanopticCounts{} : counts->second;
      const train::PanopticQuality q = train::quality_of(n);
      object["per_class"].push_back({{"id", c.id},
                                     {"name", c.name},
                                     {"thing", c.thing},
                                     {"PQ", q.pq},
                                     {"SQ", q.sq},
                                     {"RQ", q.rq},
                                     {"tp", n.hits},
                                     {"fp", n.false_alarms},
                                     {"fn", n.misses}});
    }
  }
  return object;
}

void PanopticReport::print(std::FILE* out, bool per_class) const {
  const auto row = [out](const std::string& name, const train::PanopticQuality& q) {
    print_row(
        out,
        name,
        {figure_text(q.pq), figure_text(q.sq), figure_text(q.rq), std::to_string(q.categories)});
  };
  print_row(out, "", {"PQ", "SQ", "RQ", "classes"});
  row("all", train::panoptic_quality(totals_, categories_, train::PanopticPart::kAll));
  row("things", train::panoptic_quality(totals_, categories_, train::PanopticPart::kThings));
  row("stuff", train::panoptic_quality(totals_, categories_, train::PanopticPart::kStuff));
  if (!per_class) {
    return;
  }
  std::fputc('\n', out);
  print_row(out, "category", {"PQ", "SQ", "RQ", "tp", "fp", "fn"});
  for (const train::PanopticCategory& c : categories_) {
    const auto counts = totals_.find(c.id);
    const auto n = counts == totals_.end() ? train::PanopticCounts{} : counts->second;
    const train::PanopticQuality q = train::quality_of(n);
    print_row(out,
              label(c.id, c.name),
              {figure_text(q.pq),
               figure_text(q.sq),
               figure_text(q.rq),
               std::to_string(n.hits),
               std::to_string(n.false_alarms),
               std::to_string(n.misses)});
  }
}

std::vector<train::PanopticCategory> SemanticReport::listed() const {
  std::vector<train::PanopticCategory> out = categories_;
  if (out.empty()) {
    for (const auto& [label, pixels] : counts_.classes()) {
      out.push_back({label, "", false});
    }
  }
  return out;
}

json SemanticReport::json(bool per_class) const {
  nlohmann::json object = counts_.metrics();
  if (per_class) {
    object["per_class"] = nlohmann::json::array();
    for (const train::PanopticCategory& c : listed()) {
      const auto found = counts_.classes().find(static_cast<std::uint32_t>(c.id));
      const auto pixels = found == counts_.classes().end() ? train::ClassPixels{} : found->second;
      object["per_class"].push_back({{"id", c.id},
                                     {"name", c.name},
                                     {"IoU", pixels.iou()},
                                     {"accuracy", pixels.accuracy()},
                                     {"pixels", pixels.truth}});
    }
  }
  return object;
}

void SemanticReport::print(std::FILE* out, bool per_class) const {
  for (const auto& [name, value] : counts_.metrics()) {
    std::fprintf(out, "%-15s %s\n", name.c_str(), figure_text(value).c_str());
  }
  if (!per_class) {
    return;
  }
  std::fputc('\n', out);
  print_row(out, "category", {"IoU", "accuracy"});
  for (const train::PanopticCategory& c : listed()) {
    const auto found = counts_.classes().find(static_cast<std::uint32_t>(c.id));
    const auto pixels = found == counts_.classes().end() ? train::ClassPixels{} : found->second;
    print_row(
        out, label(c.id, c.name), {figure_text(pixels.iou()), figure_text(pixels.accuracy())});
  }
}

json OpenImagesReport::json(bool per_class) const {
  nlohmann::json object = {{"AP50", figures_.ap}, {"classes", figures_.by_label.size()}};
  if (per_class) {
    object["per_class"] = nlohmann::json::array();
    for (const auto& [label, ap] : figures_.by_label) {
      object["per_class"].push_back(
          {{"name", labels_[static_cast<std::size_t>(label)]}, {"AP50", ap}});
    }
  }
  return object;
}

void OpenImagesReport::print(std::FILE* out, bool per_class) const {
  std::fprintf(out,
               "AP50   %-7s mean over %zu classes, Open Images protocol\n",
               figure_text(figures_.ap).c_str(),
               figures_.by_label.size());
  if (per_class) {
    std::fputc('\n', out);
    print_row(out, "class", {"AP50"});
    for (const auto& [label, ap] : figures_.by_label) {
      print_row(out, labels_[static_cast<std::size_t>(label)], {figure_text(ap)});
    }
  }
}

}  // namespace batchscope
