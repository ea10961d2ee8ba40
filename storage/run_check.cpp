#include "storage/run_check.h"

#include "storage/columns.h"
#include "storage/migrations.h"
#include "storage/run_files.h"
#include "storage/sqlite.h"

#include <algorithm>
#include <cmath>

namespace batchscope::storage {
namespace {

class Checker {
 public:
  explicit Checker(Database& database) : database_(database) {}

  CheckResult check() {
    part("the database", [this] { check_pages(); });
    part("the run", [this] { check_single_rows(); });
    part("the rows", [this] { check_rows(); });
    part("the live rows", [this] { check_live_samples(); });
    part("the samples", [this] { check_chunks(); });
    return std::move(result_);
  }

 private:
  /// One part that cannot be read does not keep the others from being checked.
  template <class Function>
  void part(const char* name, Function function) {
    try {
      function();
    } catch (const std::exception& error) {
      problem(std::string(name) + ": " + error.what());
    }
  }
  void problem(const std::string& sentence) {
    constexpr std::size_t kMany = 50;
    if (result_.problems.size() < kMany) {
      result_.problems.push_back(sentence);
    }
  }
  void check_pages() {
    Statement row(database_, "PRAGMA integrity_check");
    while (row.step()) {
      if (row.text(0) != "ok") {
        problem("SQLite: " + row.text(0));
      }
    }
  }
  void check_single_rows() {
    for (const char* table : {"run", "state"}) {
      const auto rows = database_.query_integer(std::string("SELECT count(*) FROM ") + table);
      if (rows != 1) {
        problem(std::string("table ") + table + " has " + std::to_string(rows) +
                " rows, expected 1");
      }
    }
    series_ = database_.query_integer("SELECT count(*) FROM series");
  }
  void check_rows() {
    Statement chunk(database_,
                    "SELECT first_seq, last_seq, count, rows FROM axis_chunk "
                    "ORDER BY first_seq");
    AxisColumns axis;
    while (chunk.step()) {
      const std::size_t before = axis.seq.size();
      decode_axis(chunk.bytes(3), chunk.integer(2), axis);
      if (axis.seq.size() == before || axis.seq[before] != chunk.integer(0) ||
          axis.seq.back() != chunk.integer(1)) {
        problem("the block of rows from " + std::to_string(chunk.integer(0)) +
                " does not hold what it says");
      }
    }
    Statement live(database_, "SELECT seq FROM live_row ORDER BY seq");
    while (live.step()) {
      axis.seq.push_back(live.integer(0));
    }
    const auto wrong =
        std::adjacent_find(axis.seq.begin(), axis.seq.end(), [](auto a, auto b) { return a >= b; });
    if (wrong != axis.seq.end()) {
      problem("rows are out of order after row " + std::to_string(*wrong));
    }
    rows_ = std::move(axis.seq);
    result_.rows = static_cast<std::int64_t>(rows_.size());
  }
  void check_live_samples() {
    Statement live(database_, "SELECT seq, samples FROM live_row ORDER BY seq");
    while (live.step()) {
      SampleList samples;
      decode_samples(live.bytes(1), samples);
      result_.samples += static_cast<std::int64_t>(samples.size());
      for (const auto& sample : samples) {
        if (sample.first < 0 || sample.first >= series_) {
          problem("row " + std::to_string(live.integer(0)) + " has a sample of series " +
                  std::to_string(sample.first) + ", which is not in the table");
        }
      }
    }
  }
  void check_chunks() {
    Statement chunk(database_,
                    "SELECT series, first_seq, last_seq, count, nonfinite, min, max, first, last, "
                    "offsets, samples FROM series_chunk ORDER BY series, first_seq");
    while (chunk.step()) {
      const std::string name = "the block of series " + std::to_string(chunk.integer(0)) +
                               " from row " + std::to_string(chunk.integer(1));
      part(name.c_str(), [&] { check_chunk(chunk, name); });
    }
  }
  void check_chunk(const Statement& chunk, const std::string& name) {
    Column column;
    const std::int64_t count = chunk.integer(3);
    decode_offsets(chunk.bytes(9), chunk.integer(1), count, column.seq);
    decode_values(chunk.bytes(10), count, column.value);
    result_.samples += chunk.integer(3);
    if (count == 0 || column.seq.back() != chunk.integer(2) || chunk.integer(0) >= series_) {
      problem(name + " does not hold what it says");
      return;
    }
    if (!std::includes(rows_.begin(), rows_.end(), column.seq.begin(), column.seq.end())) {
      problem(name + " has samples without a row");
    }
    double low = std::nan(""), high = std::nan("");
    std::int64_t nonfinite = 0;
    for (const double value : column.value) {
      nonfinite += std::isfinite(value) ? 0 : 1;
      low = std::isfinite(value) ? std::fmin(low, value) : low;
      high = std::isfinite(value) ? std::fmax(high, value) : high;
    }
    const auto same = [](double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); };
    const bool none = std::isnan(low);
    const bool extremes = none ? chunk.is_null(5) && chunk.is_null(6)
                               : same(chunk.number(5), low) && same(chunk.number(6), high);
    if (!extremes || nonfinite != chunk.integer(4) ||
        !same(chunk.number(7), column.value.front()) ||
        !same(chunk.number(8), column.value.back())) {
      problem(name + " has a summary that does not fit its samples");
    }
  }

  Database& database_;
  CheckResult result_;
  std::vector<std::int64_t> rows_;
  std::int64_t series_ = 0;
};

}  // namespace

CheckResult check_run(const std::filesystem::path& folder_or_file) {
  Database database = Database::open_for_reading(run_file_of(folder_or_file));
  check_run_file(database);
  const Transaction snapshot(database, Transaction::Kind::kRead);
  return Checker(database).check();
}

}  // namespace batchscope::storage
