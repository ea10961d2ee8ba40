#include "engine/train/training_state.h"

#include "engine/contract/error.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <string_view>

namespace batchscope::train {
namespace {

using nlohmann::json;

constexpr int kVersion = 1;
constexpr std::int64_t kMost = 1'000'000'000'000'000;  // of steps, pictures, …

json segment_json(const contract::SegmentRecord& s) {
  return {{"segment", s.segment},
          {"parent", s.parent},
          {"start_step", s.start_step},
          {"abandoned_after", s.abandoned_after},
          {"reason", s.reason}};
}

contract::SegmentRecord segment_from(const json& j) {
  return {
      j.at("segment"), j.at("parent"), j.at("start_step"), j.at("abandoned_after"), j.at("reason")};
}

json ramp_json(const optim::LrRamp& ramp) {
  return {{"start", ramp.start},
          {"length", ramp.length},
          {"done", ramp.done},
          {"rewarmup", ramp.rewarmup}};
}

optim::LrRamp ramp_from(const json& j) {
  optim::LrRamp ramp;
  ramp.start = j.at("start").get<std::vector<double>>();
  ramp.length = j.at("length");
  ramp.done = j.at("done");
  ramp.rewarmup = j.at("rewarmup");
  return ramp;
}

json point_json(const RestorePoint& r) {
  return {{"file", r.file}, {"segment", r.segment}, {"step", r.step}, {"change", r.change}};
}

RestorePoint point_from(const json& j) {
  return {j.at("file"), j.at("segment"), j.at("step"), j.at("change")};
}

/// A sentence that repeats what a stranger wrote.
std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return text;
}

/// Throws contract::DataError for what no training of ours has written.
void check(const TrainingState& s, const std::string& origin) {
  const auto expect = [&](bool holds, const std::string& what, const std::string& found) {
    if (!holds) {
      throw contract::DataError("Checkpoint " + origin + " is not one of ours: " + what +
                                ", found " + found + ".");
    }
  };
  const auto within = [&](const char* name, std::int64_t value, std::int64_t most) {
    expect(value >= 0 && value <= most,
           std::string(name) + " must be 0 to " + std::to_string(most),
           std::to_string(value));
  };
  within("step", s.step, kMost);
  within("images", s.images, kMost);
  within("total_images", s.total_images, kMost);
  within("segment", s.segment, kMost);
  within("skipped", s.skipped, s.step);
  within("restore_serial", s.restore_serial, kMost);
  within("events_done", s.events_done, static_cast<std::int64_t>(s.spec.events.size()));
  expect(s.seconds >= 0 && std::isfinite(s.seconds),
         "seconds must be a finite number from 0 on",
         std::to_string(s.seconds));
  for (const std::int64_t count :
       {s.start_batch.micro, s.start_batch.accumulation, s.start_batch.ranks}) {
    expect(count >= 1 && count <= kMost,
           "its first batch must be of numbers from 1 on",
           std::to_string(count));
  }
  expect(s.ramp.length >= 1 && s.ramp.done >= 0 && s.ramp.length <= kMost && s.ramp.done <= kMost,
         "its ramp must have a length from 1 on",
         std::to_string(s.ramp.done) + " of " + std::to_string(s.ramp.length));
  expect(s.evaluated_step >= -1 && s.evaluated_step <= s.step,
         "evaluated_step must be -1 to " + std::to_string(s.step),
         std::to_string(s.evaluated_step));
  expect(!s.segments.empty(), "it must have a segment", "none");
  for (const contract::SegmentRecord& segment : s.segments) {
    within("a segment's number", segment.segment, kMost);
    within("a segment's first step", segment.start_step, kMost);
  }
  // Files of these names are read and removed.
  const auto name = [&](const std::string& file) {
    expect(is_state_name(file),
           "a file of its lists must be checkpoints/….ckpt",
           "\"" + one_line(file) + "\"");
  };
  for (const std::string& file : s.checkpoints) {
    name(file);
  }
  for (const RestorePoint& point : s.restore_points) {
    name(point.file);
  }
}

}  // namespace

bool is_state_name(const std::string& name) {
  constexpr std::string_view kFolder = "checkpoints/", kEnding = ".ckpt";
  if (!name.starts_with(kFolder) || !name.ends_with(kEnding) ||
      name.size() < kFolder.size() + kEnding.size()) {
    return false;
  }
  const std::string_view stem =
      std::string_view(name).substr(kFolder.size(), name.size() - kFolder.size() - kEnding.size());
  const bool plain = std::all_of(stem.begin(), stem.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-';
  });
  return plain && (stem.starts_with("step-") || stem.starts_with("restore-"));
}

std::string to_words(const RestorePoint& point) {
  return point_json(point).dump();
}

RestorePoint restore_point_from_words(const std::string& words) {
  return point_from(json::parse(words));
}

std::string to_words(const TrainingState& s, const CheckpointInfo& info) {
  json j = {{"version", kVersion},
            {"run_id", info.run_id},
            {"engine_version", info.engine_version},
            {"data_checksum", info.data_checksum},
            {"threads", info.threads},
            {"ranks", info.ranks},
            {"classes", info.classes},
            {"category_ids", info.category_ids},
            {"spec", contract::to_toml(s.spec)},
            {"start_batch", {s.start_batch.micro, s.start_batch.accumulation, s.start_batch.ranks}},
            {"step", s.step},
            {"images", s.images},
            {"total_images", s.total_images},
            {"segment", s.segment},
            {"skipped", s.skipped},
            {"events_done", s.events_done},
            {"restore_serial", s.restore_serial},
            {"seconds", s.seconds},
            {"ramp", ramp_json(s.ramp)},
            {"last_trust", s.last_trust},
            {"checkpoints", s.checkpoints},
            {"metrics", s.metrics},
            {"evaluated_step", s.evaluated_step},
            {"target_reached", s.target_reached}};
  if (s.pending) {
    j["pending"] = {{"old_spec", contract::to_toml(s.pending->old_spec)},
                    {"old_factor", s.pending->old_factor}};
  }
  j["segments"] = json::array();
  for (const contract::SegmentRecord& segment : s.segments) {
    j["segments"].push_back(segment_json(segment));
  }
  j["restore_points"] = json::array();
  for (const RestorePoint& r : s.restore_points) {
    j["restore_points"].push_back(point_json(r));
  }
  return j.dump();
}

std::pair<TrainingState, CheckpointInfo> from_words(const std::string& words,
                                                    const std::string& origin) {
  try {
    const json j = json::parse(words);
    if (j.at("version").get<int>() != kVersion) {
      throw contract::DataError("Checkpoint " + origin + " is of version " +
                                j.at("version").dump() + ", this engine reads version " +
                                std::to_string(kVersion) + ".");
    }
    TrainingState s;
    s.spec = contract::parse_spec(j.at("spec").get<std::string>());
    s.start_batch = s.spec.batch;
    s.start_batch.micro = j.at("start_batch").at(0);
    s.start_batch.accumulation = j.at("start_batch").at(1);
    s.start_batch.ranks = j.at("start_batch").at(2);
    s.step = j.at("step");
    s.images = j.at("images");
    s.total_images = j.at("total_images");
    s.segment = j.at("segment");
    s.skipped = j.at("skipped");
    s.events_done = j.at("events_done");
    s.restore_serial = j.at("restore_serial");
    s.seconds = j.at("seconds");
    s.ramp = ramp_from(j.at("ramp"));
    s.last_trust = j.at("last_trust").get<std::vector<double>>();
    s.checkpoints = j.at("checkpoints").get<std::vector<std::string>>();
    s.target_reached = j.at("target_reached");
    for (const auto& [name, value] : j.at("metrics").items()) {
      s.metrics[name] = value.is_number() ? value.get<double>() : std::nan("");
    }
    // States of before did not tell.
    s.evaluated_step = j.value("evaluated_step", s.metrics.empty() ? std::int64_t{-1} : s.step);
    if (j.contains("pending")) {
      const json& p = j.at("pending");
      s.pending = PendingMatch{contract::parse_spec(p.at("old_spec").get<std::string>()),
                               p.at("old_factor").get<std::vector<double>>()};
    }
    for (const json& segment : j.at("segments")) {
      s.segments.push_back(segment_from(segment));
    }
    for (const json& r : j.at("restore_points")) {
      s.restore_points.push_back(point_from(r));
    }
    contract::validate(s.spec);
    check(s, origin);
    CheckpointInfo info;
    info.run_id = j.at("run_id");
    info.engine_version = j.at("engine_version");
    info.data_checksum = j.at("data_checksum");
    info.threads = j.at("threads");
    info.ranks = j.at("ranks");
    info.classes = j.at("classes").get<std::vector<std::string>>();
    info.category_ids = j.value("category_ids", std::vector<std::int64_t>());
    if (info.threads < 1 || info.ranks < 1) {
      throw contract::DataError("Checkpoint " + origin + " is not one of ours: it has " +
                                std::to_string(info.ranks) + " ranks of " +
                                std::to_string(info.threads) + " threads.");
    }
    if (!info.category_ids.empty() && info.category_ids.size() != info.classes.size()) {
      throw contract::DataError("Checkpoint " + origin + " is not one of ours: it has " +
                                std::to_string(info.classes.size()) + " classes and " +
                                std::to_string(info.category_ids.size()) + " category ids.");
    }
    return {std::move(s), std::move(info)};
  } catch (const contract::SpecError& e) {
    throw contract::DataError(
        "Checkpoint " + origin +
        " holds a spec that this engine does not take: " + one_line(e.what()));
  } catch (const json::exception& e) {
    throw contract::DataError("Checkpoint " + origin +
                              " has an incomplete description: " + one_line(e.what()) + ".");
  }
}

}  // namespace batchscope::train
