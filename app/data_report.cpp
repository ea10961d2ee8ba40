#include "app/data_report.h"

#include <algorithm>

namespace batchscope {
namespace {

using nlohmann::json;
using train::ClassCount;
using train::Spread;

json spread_json(const std::optional<Spread>& spread) {
  return spread ? json{{"least", spread->least},
                       {"median", spread->median},
                       {"greatest", spread->greatest}}
                : json();
}

void print_spread(std::FILE* out, const char* what, const std::optional<Spread>& spread) {
  if (spread) {
    std::fprintf(out,
                 "  %-18s %8.6g … %.6g, median %.6g\n",
                 what,
                 spread->least,
                 spread->greatest,
                 spread->median);
  }
}

long long whole(std::int64_t value) {
  return static_cast<long long>(value);
}

void print_classes(std::FILE* out, const train::DataReport& report) {
  std::int64_t most = 1, pixels = 0;
  for (const ClassCount& c : report.classes) {
    most = std::max(most, c.boxes);
    pixels += c.pixels;
  }
  constexpr std::int64_t kBar = 24;
  std::fprintf(out,
               "  %-24s %9s %7s %9s%s\n",
               "class",
               "boxes",
               "crowds",
               "pictures",
               pixels > 0 ? "  pixels %" : "");
  for (const ClassCount& c : report.classes) {
    std::fprintf(out,
                 "  %-24.40s %9lld %7lld %9lld",
                 c.name.c_str(),
                 whole(c.boxes),
                 whole(c.crowds),
                 whole(c.pictures));
    if (pixels > 0) {
      std::fprintf(
          out, " %9.3f", 100.0 * static_cast<double>(c.pixels) / static_cast<double>(pixels));
    }
    const std::string bar(static_cast<std::size_t>(c.boxes * kBar / most), '#');
    std::fprintf(out, "%s%s\n", bar.empty() ? "" : "  ", bar.c_str());
  }
}

}  // namespace

nlohmann::json data_json(const train::DataReport& report) {
  json object = {{"pictures", report.pictures},
                 {"looked_at", report.looked_at},
                 {"boxes", report.boxes},
                 {"crowds", report.crowds},
                 {"boxes_without_area", report.no_area},
                 {"pictures_without_boxes", report.pictures_without_boxes},
                 {"small", report.small},
                 {"medium", report.medium},
                 {"large", report.large},
                 {"widths", spread_json(report.widths)},
                 {"heights", spread_json(report.heights)},
                 {"sides", spread_json(report.sides)},
                 {"boxes_per_picture", spread_json(report.per_picture)},
                 {"classes", json::array()},
                 {"errors", json::array()},
                 {"warnings", json::array()},
                 {"ok", report.ok()}};
  for (const ClassCount& c : report.classes) {
    object["classes"].push_back({{"name", c.name},
                                 {"boxes", c.boxes},
                                 {"crowds", c.crowds},
                                 {"pictures", c.pictures},
                                 {"pixels", c.pixels}});
  }
  for (const train::Finding& finding : report.findings) {
    object[finding.error ? "errors" : "warnings"].push_back(
        {{"kind", finding.kind}, {"count", finding.count}, {"sentence", finding.sentence}});
  }
  return object;
}

void print_data(std::FILE* out, const std::string& name, const train::DataReport& report) {
  std::fprintf(out, "%s: %lld pictures", name.c_str(), whole(report.pictures));
  if (report.looked_at < report.pictures) {
    std::fprintf(out, " (looked at %lld)", whole(report.looked_at));
  }
  std::fprintf(out,
               ", %lld boxes, %lld crowds, %lld without area, %lld pictures without a box\n",
               whole(report.boxes),
               whole(report.crowds),
               whole(report.no_area),
               whole(report.pictures_without_boxes));
  print_spread(out, "picture width px", report.widths);
  print_spread(out, "picture height px", report.heights);
  print_spread(out, "boxes per picture", report.per_picture);
  print_spread(out, "box side px", report.sides);
  std::fprintf(out,
               "  boxes below 32 x 32 px: %lld, up to 96 x 96: %lld, above: %lld\n",
               whole(report.small),
               whole(report.medium),
               whole(report.large));
  print_classes(out, report);
  for (const train::Finding& finding : report.findings) {
    std::fprintf(out, "  %s: %s\n", finding.error ? "error" : "warning", finding.sentence.c_str());
  }
}

}  // namespace batchscope
