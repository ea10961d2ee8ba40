#pragma once

#include "engine/contract/error.h"
#include "storage/run_files.h"
#include "storage/run_reader.h"
#include "storage/run_writer.h"

#include <QTemporaryDir>

#include <bit>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace batchscope::test {

/// A folder that goes away with its owner.
class TempFolder {
 public:
  std::filesystem::path path() const { return folder_.path().toStdString(); }
  /// A new run folder in it.
  std::filesystem::path run(const std::string& name) const {
    const std::filesystem::path folder = path() / name;
    std::filesystem::create_directories(folder);
    return folder;
  }

 private:
  QTemporaryDir folder_;
};

inline contract::RunInfo make_info(const std::string& id = "0123456789ab") {
  contract::RunInfo info;
  info.id = id;
  info.name = "a \"named\" run, Größe 1";
  info.spec_toml = "[run]\nseed = 7\n";
  info.engine_version = "0.1.0";
  info.host = "host";
  info.device = "cpu";
  info.threads = 2;
  info.data_checksum = "abcdef";
  info.modules = {"backbone", "neck"};
  info.classes = {"square", "disc"};
  info.steps = 300;
  info.total_images = 38400;
  info.parent_run = "fedcba987654";
  info.parent_step = 42;
  info.started = "2026-11-20T22:30:00.123Z";
  return info;
}

inline contract::SeriesInfo make_series(const std::string& name) {
  return {name, "", "", "help"};
}

inline contract::StepRecord make_step(std::int64_t seq,
                                      std::vector<std::pair<std::int32_t, double>> values,
                                      std::int64_t segment = 0,
                                      std::int64_t step = -1) {
  contract::StepRecord record;
  record.seq = seq;
  record.segment = segment;
  record.step = step < 0 ? seq : step;
  record.images = record.step * 128;
  record.seconds = 0.5 * static_cast<double>(seq);
  record.values = std::move(values);
  return record;
}

/// Equal including NaN and the sign of zero.
inline bool same_bits(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

}  // namespace batchscope::test
