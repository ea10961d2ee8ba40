#pragma once

#include "engine/metrics/coco_files.h"
#include "engine/metrics/openimages_files.h"
#include "engine/metrics/panoptic_files.h"
#include "engine/metrics/semantic.h"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <string>

namespace batchscope {

/// What `metrics` gives for one kind: an object for --json, and lines for people. A figure of -1
/// (nothing to measure) is printed as "-".
class MetricsReport {
 public:
  virtual ~MetricsReport() = default;
  /// The figures by name; with per_class also "per_class", a list of objects with id, name and
  /// figures.
  virtual nlohmann::json json(bool per_class) const = 0;
  virtual void print(std::FILE* out, bool per_class) const = 0;
};

/// COCO's 12 figures.
class CocoReport : public MetricsReport {
 public:
  /// max_detections: as the figures were made with.
  CocoReport(train::CocoFigures figures, const train::CocoInput& input, std::size_t max_detections)
      : figures_(std::move(figures)), names_(input.names), most_(std::to_string(max_detections)) {}
  nlohmann::json json(bool per_class) const override;
  void print(std::FILE* out, bool per_class) const override;
  /// CSV: category_id,category,overlap,recall,precision,score. Throws contract::StorageError.
  void write_curves(const std::string& path) const;

 private:
  train::CocoFigures figures_;
  std::unordered_map<std::int64_t, std::string> names_;
  std::string most_;  // detections that count
};

/// PQ, SQ, RQ of all, of things (_th) and of stuff (_st).
class PanopticReport : public MetricsReport {
 public:
  PanopticReport(train::PanopticTotals totals, std::vector<train::PanopticCategory> categories)
      : totals_(std::move(totals)), categories_(std::move(categories)) {}
  nlohmann::json json(bool per_class) const override;
  void print(std::FILE* out, bool per_class) const override;

 private:
  train::PanopticTotals totals_;
  std::vector<train::PanopticCategory> categories_;
};

/// mIoU, mean_accuracy, pixel_accuracy.
class SemanticReport : public MetricsReport {
 public:
  SemanticReport(train::SemanticCounts counts, std::vector<train::PanopticCategory> categories)
      : counts_(std::move(counts)), categories_(std::move(categories)) {}
  nlohmann::json json(bool per_class) const override;
  void print(std::FILE* out, bool per_class) const override;

 private:
  std::vector<train::PanopticCategory> listed() const;
  train::SemanticCounts counts_;
  std::vector<train::PanopticCategory> categories_;  // empty: those that occur
};

/// AP50: the Open Images challenge's mean average precision.
class OpenImagesReport : public MetricsReport {
 public:
  explicit OpenImagesReport(const train::OpenImagesInput& input)
      : figures_(train::openimages_ap(input.set)), labels_(input.labels) {}
  nlohmann::json json(bool per_class) const override;
  void print(std::FILE* out, bool per_class) const override;

 private:
  train::OpenImagesFigures figures_;
  std::vector<std::string> labels_;
};

}  // namespace batchscope
