#include "storage/csv_export.h"

#include "storage/lineage.h"
#include "storage/run_files.h"
#include "storage/sqlite.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace batchscope::storage {
namespace {

/// Rows read at a time: bounds the memory of a long run.
constexpr std::int64_t kBlockRows = 16384;

constexpr std::array<std::string_view, 9> kLeading = {
    "lr", "loss", "loss/", "grad_norm", "images_per_s", "d/", "mu/", "noise/", "pmd_c"};

/// Place of a name in the promised order; a leading entry that ends in "/" stands for its family.
std::size_t rank_of(const std::string& name) {
  const auto found = std::find_if(kLeading.begin(), kLeading.end(), [&name](std::string_view key) {
    return key.back() == '/' ? name.starts_with(key) : name == key;
  });
  return static_cast<std::size_t>(found - kLeading.begin());
}

std::string quoted(const std::string& name) {
  if (name.find_first_of(",\"\r\n") == std::string::npos) {
    return name;
  }
  std::string text = "\"";
  for (const char c : name) {
    text += c == '"' ? "\"\"" : std::string(1, c);
  }
  return text + "\"";
}

std::string header(const std::vector<contract::SeriesInfo>& series,
                   const std::vector<std::int32_t>& order) {
  std::string line = "step,images,seconds";
  for (const std::int32_t id : order) {
    line += "," + quoted(series[static_cast<std::size_t>(id)].name);
  }
  return line + "\n";
}

/// One block of rows as text; counts the rows written.
std::string block_text(RunReader& reader,
                       const RowAxis& axis,
                       const std::vector<std::int32_t>& order,
                       const std::vector<LineageSpan>& spans,
                       std::int64_t& rows) {
  const std::int64_t after = axis.seq.front() - 1;
  std::vector<SeriesSamples> columns(order.size());
  for (std::size_t c = 0; c < order.size(); ++c) {
    reader.read_series(order[c], after, columns[c], axis.seq.back());
  }
  std::vector<std::size_t> at(order.size(), 0);
  std::string text;
  for (std::size_t row = 0; row < axis.seq.size(); ++row) {
    const bool kept = spans.empty() || on_lineage(spans, axis.segment[row], axis.step[row]);
    if (kept) {
      text += std::to_string(axis.step[row]) + "," + std::to_string(axis.images[row]) + "," +
              number_text(axis.seconds[row]);
      ++rows;
    }
    for (std::size_t c = 0; c < order.size(); ++c) {
      const SeriesSamples& column = columns[c];
      const bool measured = at[c] < column.seq.size() && column.seq[at[c]] == axis.seq[row];
      if (kept) {
        text += measured ? "," + number_text(column.value[at[c]]) : ",";
      }
      at[c] += measured ? 1 : 0;
    }
    text += kept ? "\n" : "";
  }
  return text;
}

}  // namespace

std::string number_text(double value) {
  const std::string_view word = nonfinite_word(value);
  if (!word.empty()) {
    return std::string(word);
  }
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return {text.data(), end};
}

std::vector<std::int32_t> csv_order(const std::vector<contract::SeriesInfo>& series) {
  std::vector<std::int32_t> order;
  for (std::size_t id = 0; id < series.size(); ++id) {
    order.push_back(static_cast<std::int32_t>(id));
  }
  std::stable_sort(order.begin(), order.end(), [&series](std::int32_t a, std::int32_t b) {
    return rank_of(series[static_cast<std::size_t>(a)].name) <
           rank_of(series[static_cast<std::size_t>(b)].name);
  });
  return order;
}

std::int64_t export_csv(RunReader& reader, const std::filesystem::path& out) {
  const std::vector<contract::SeriesInfo> series = reader.series();
  const std::vector<std::int32_t> order = csv_order(series);
  const std::vector<LineageSpan> spans = lineage(reader.segments());
  const std::int64_t newest = reader.last_seq();
  ReplacingFile file(out);
  file.write(header(series, order));
  std::int64_t rows = 0;
  for (std::int64_t after = 0; after < newest; after += kBlockRows) {
    RowAxis axis;
    reader.read_axis(after, axis, std::min(after + kBlockRows, newest));
    if (!axis.seq.empty()) {
      file.write(block_text(reader, axis, order, spans, rows));
    }
  }
  file.commit();
  return rows;
}

}  // namespace batchscope::storage
