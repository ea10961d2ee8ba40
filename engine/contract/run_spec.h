#pragma once

#include "engine/contract/error.h"
#include "engine/contract/messages.h"

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace batchscope::contract {

// All that decides a run. An empty TOML file trains the demo. Keys are the member names; `optional`
// members are "absent unless given" and get their value in resolve(). DESIGN.md section 6 promises
// names and defaults; `spec schema` prints them.

struct RunSection {
  std::string name;
  std::int64_t seed = 0;
  std::vector<std::string> tags;
  std::string notes;
  bool operator==(const RunSection&) const = default;
};

struct DataSection {
  // synthetic-shapes | coco | coco-panoptic | voc | ade20k | openimages
  std::string kind = "synthetic-shapes";
  // Files and folders, absolute once loaded; what they are depends on the kind (spec_keys.cpp).
  std::string annotations, images, segments, list;
  std::string val_annotations, val_images, val_segments, val_list;
  std::string classes;
  std::string hierarchy, val_image_labels;  // openimages, where it is measured
  std::int64_t ignored_label = 0;           // ade20k: pixels of this value are not labelled
  std::int64_t size = 32;                   // synthetic: side of the square pictures, px
  std::int64_t seed = 0;                    // synthetic: of the pictures, apart from run.seed
  std::int64_t train_pictures = 4096;       // synthetic
  std::int64_t val_pictures = 512;          // synthetic
  std::int64_t max_objects = 3;             // synthetic
  double min_object = 8, max_object = 18;   // synthetic: side of a shape, px
  double noise = 0.10;                      // synthetic: standard deviation, picture values 0…1
  bool masks = false;                       // give instance masks to the model
  std::int64_t min_size = 0;                // resize: short side, px; 0: the model's own rule
  std::int64_t max_size = 0;  // resize: bound of the long side; 0: none, or the model's own rule
  std::vector<std::int64_t> train_min_sizes;  // training: short sides to draw from; empty: min_size
  bool skip_empty = false;                    // leave pictures without an object out of training
  double flip = 0.0;                          // probability of a horizontal flip in training
  std::int64_t max_pictures = 0;              // use only the first N training pictures; 0: all
  double max_broken = 0.001;        // share of pictures that may be unreadable (one at least)
  std::int64_t loader_threads = 1;  // prefetch threads per rank; 0: in the training thread
  bool operator==(const DataSection&) const = default;
};

// What a spec changes of its model's builder; empty or none: the builder's own. The names are those
// of torchvision's builders.

/// Anchors of the pyramid's levels, finest first: a level's sizes are its size times the scales,
/// cut to whole pixels.
struct AnchorSection {
  std::vector<std::int64_t> sizes;  // px
  std::vector<double> scales;
  std::vector<double> aspect_ratios;  // height over width
  bool operator==(const AnchorSection&) const = default;
};
/// The first stage of models in two stages.
struct RpnSection {
  std::optional<std::int64_t> pre_nms_top_n_train, pre_nms_top_n_test;    // of each level
  std::optional<std::int64_t> post_nms_top_n_train, post_nms_top_n_test;  // of a picture
  std::optional<double> nms_threshold, score_threshold;
  std::optional<double> fg_iou_threshold, bg_iou_threshold;
  std::optional<std::int64_t> batch_size_per_image;
  std::optional<double> positive_fraction;
  bool operator==(const RpnSection&) const = default;
};
/// Their second stage.
struct BoxSection {
  std::optional<double> fg_iou_threshold, bg_iou_threshold;
  std::optional<std::int64_t> batch_size_per_image;
  std::optional<double> positive_fraction;
  std::vector<double> reg_weights;  // four: x, y, width, height
  std::optional<std::int64_t> pool_size, sampling_ratio;
  bool operator==(const BoxSection&) const = default;
};
struct MaskSection {
  std::optional<std::int64_t> pool_size;
  bool operator==(const MaskSection&) const = default;
};
struct RetinaNetSection {
  std::optional<double> fg_iou_threshold, bg_iou_threshold;
  std::optional<std::int64_t> topk_candidates;  // of each level
  bool operator==(const RetinaNetSection&) const = default;
};

struct ModelSection {
  std::string name = "lab_faster_rcnn";
  std::string backbone;            // empty: the builder's own
  std::string weights;             // file to start from; empty: random
  std::string weights_key;         // where in it; empty: where trainers have a model
  std::string norm = "gn";         // frozen | bn | syncbn | gn
  std::optional<double> norm_eps;  // none: 1e-5, or what the weights were trained with
  std::int64_t syncbn_group = 0;   // ranks that share statistics; 0: all
  std::optional<std::int64_t> trainable_layers;
  std::vector<double> image_mean, image_std;             // three each; empty: the builder's own
  std::optional<double> score_threshold, nms_threshold;  // none: the builder's own
  std::optional<std::int64_t> max_detections, min_stuff_area;  // likewise
  AnchorSection anchors;
  RpnSection rpn;
  BoxSection box;
  MaskSection mask;
  RetinaNetSection retinanet;
  bool operator==(const ModelSection&) const = default;
};

/// Effective batch = micro x accumulation x ranks.
struct BatchSection {
  std::int64_t micro = 8;
  std::int64_t accumulation = 1;
  std::int64_t ranks = 1;
  std::string loss_normaliser = "per_micro";  // per_micro | global
  std::int64_t effective() const { return micro * accumulation * ranks; }
  bool operator==(const BatchSection&) const = default;
};

struct LambSection {
  bool trust_clamp = true;
  double trust_min = 0.01, trust_max = 10;
  bool exclude_1d = true;
  bool always_adapt = false;
  bool bias_correction = true;
  bool folded_bias = false;  // the correction is a factor on the rate (DeepSpeed)
  bool grad_averaging = true;
  std::string decay = "inside";  // inside | decoupled | l2
  bool skip_dead = true;
  bool operator==(const LambSection&) const = default;
};
struct LarsSection {
  double trust_coefficient = 0.001;
  std::string form = "post";  // post | pre
  bool clip = false;
  bool exclude_1d = true;
  bool compat_ratio1 = false;
  bool compat_untouched = false;  // a zero norm: neither scaling nor decay (apex)
  bool decay_in_ratio = true;
  bool always_adapt = true;  // scaling also without weight decay
  bool operator==(const LarsSection&) const = default;
};
struct PmdSection {
  std::optional<std::int64_t>
      period;  // updates; default 200, or max(20, steps/7) in runs under 1,000 steps
  std::string curve = "cosine";          // cosine | linear
  std::string variant = "moment_scale";  // moment_scale | beta_scale | readout
  bool hit_zero = false;
  std::optional<std::int64_t> start;  // updates before the first period; default: end of warm-up
  bool operator==(const PmdSection&) const = default;
};
struct AgvmSection {
  bool enabled = false;
  bool observe = true;  // measure d while disabled
  std::int64_t interval = 10;
  double alpha = 0.97;
  std::optional<std::int64_t>
      start;  // first measuring update; default: warm-up + 100, 1.2 x warm-up under 1,000 steps
  std::optional<std::int64_t> stop;  // last measuring update; default: none
  std::string anchor = "backbone";
  std::array<double, 2> clamp = {0.5, 10.0};
  bool interleave = false;
  bool compat_official = false;
  bool operator==(const AgvmSection&) const = default;
};
/// [[optim.shadow]]: an optimizer that is fed the run's gradients and never touches the weights. It
/// has the run's settings of [optim] except those that it gives itself; AGVM's factors are the
/// run's.
struct ShadowSpec {
  std::string label;  // names its series; default: its method
  /// Its own keys without "optim.", values in canonical TOML: "name" -> "\"lamb\"".
  std::map<std::string, std::string> set;
  bool operator==(const ShadowSpec&) const = default;
};
struct OptimSection {
  std::string name = "sgd";  // sgd | adamw | lars | lamb | pmd_lamb
  double lr = 0.08;
  std::string lr_rule = "none";  // none | linear | sqrt | mixed
  std::int64_t base_batch = 16;
  std::string lr_on_batch_change = "keep";  // keep | rule
  double momentum = 0.9, dampening = 0;
  bool nesterov = false;
  std::array<double, 2> betas = {0.9, 0.999};
  std::optional<double> eps;  // default 1e-8 (adamw, lars), 1e-6 (lamb, pmd_lamb)
  double weight_decay = 1e-4;
  double clip_norm = 0;  // 0: off
  std::optional<std::string>
      clip_form;  // torch | lamb; default "lamb" for the LAMB family, else "torch"
  LambSection lamb;
  LarsSection lars;
  PmdSection pmd;
  AgvmSection agvm;
  std::vector<ShadowSpec> shadow;
  bool operator==(const OptimSection&) const = default;
};

/// Warm-up: "none", "linear" (from ratio·lr), "exp", "constant_speed" (from `from` to lr), "ramp"
/// (lr·(it+1)/N). At most one length: steps, epochs, images or fraction of the run.
struct WarmupSpec {
  std::string kind = "ramp";
  std::optional<std::int64_t> steps, images;
  std::optional<double> epochs, fraction;  // default when no length is given: fraction 0.1
  double ratio = 0.001;                    // linear, exp
  double from = 0;                         // constant_speed: lr at the first update
  bool operator==(const WarmupSpec&) const = default;
};
/// Decay: "none", "step" (factor at each milestone), "cosine" (from the warm-up's end to 0), "poly"
/// (power).
struct DecaySpec {
  std::string kind = "cosine";
  std::vector<double> epochs;  // step: milestones, exactly one of the three lists
  std::vector<std::int64_t> steps, images;
  double factor = 0.1;  // step
  double power = 1.0;   // poly
  bool operator==(const DecaySpec&) const = default;
};
/// Length of the run: exactly one of the three; none given: 38,400 pictures.
struct ScheduleSection {
  std::optional<double> epochs;
  std::optional<std::int64_t> steps, images;
  WarmupSpec warmup;
  DecaySpec decay;
  bool operator==(const ScheduleSection&) const = default;
};

struct PrecisionSection {
  std::string mode = "fp32";  // fp32 | bf16 | tf32
  std::int64_t threads = 0;   // intra-op threads per rank; 0: cores / ranks
  bool operator==(const PrecisionSection&) const = default;
};
struct TargetSpec {
  std::string metric;  // empty: no target
  double value = 0;
  bool stop = false;
  bool operator==(const TargetSpec&) const = default;
};
struct EvalSection {
  std::int64_t every_steps = 0;  // 0: only at the end
  double every_epochs = 0;
  bool at_end = true;
  std::int64_t max_pictures = 0;  // 0: all
  std::int64_t batch = 0;         // pictures per forward; 0: chosen by the engine
  std::int64_t probes = 4;        // fixed pictures whose predictions are stored
  TargetSpec target;
  bool operator==(const EvalSection&) const = default;
};
struct CheckpointSection {
  std::int64_t every_steps = 0;     // 0: not by steps
  double every_minutes = 10;        // of wall time; 0: not by time
  std::int64_t keep = 3;            // newest ones kept
  std::int64_t restore_points = 5;  // newest ones kept, of them as many as fit
  double restore_megabytes = 8000;  // (of 10^6 bytes; the newest always stays)
  bool operator==(const CheckpointSection&) const = default;
};
struct TelemetrySection {
  std::int64_t module_interval = 1;  // per-module norms every N updates
  std::int64_t tensor_interval = 0;  // per-tensor norms every N updates; 0: never
  double budget_percent = 2.0;       // of step time, for diagnostics
  bool operator==(const TelemetrySection&) const = default;
};
struct DistributedSection {
  /// Seconds: ranks have this long to meet, and to come to a collective.
  std::int64_t timeout = 600;
  bool operator==(const DistributedSection&) const = default;
};
struct GuardSection {
  double loss_limit = 1e4;
  std::int64_t nonfinite_limit = 10;  // skipped updates in a row
  std::string on_diverge = "stop";    // stop | pause | continue
  bool operator==(const GuardSection&) const = default;
};
/// [[events]]: a command carried out after update `step`, as if it had been sent live then.
struct ScriptedEvent {
  std::int64_t step = 0;
  CommandBody command;
  bool operator==(const ScriptedEvent&) const = default;
};

struct RunSpec {
  RunSection run;
  DataSection data;
  ModelSection model;
  BatchSection batch;
  OptimSection optim;
  ScheduleSection schedule;
  PrecisionSection precision;
  EvalSection eval;
  CheckpointSection checkpoint;
  TelemetrySection telemetry;
  GuardSection guard;
  DistributedSection distributed;
  std::vector<ScriptedEvent> events;
  bool operator==(const RunSpec&) const = default;
};

/// Reads a spec from TOML text. `folder` makes relative data and weight paths absolute (empty: they
/// stay). Throws SpecError with field, line and column: unknown keys (with the nearest known name),
/// wrong types, values out of range, contradictions. Missing data paths are left to validate(), so
/// that --set can give them.
RunSpec parse_spec(const std::string& toml,
                   const std::string& folder = "",
                   const std::string& file_name = "");
/// Makes the relative data and weight paths absolute, as seen from `folder`.
void make_paths_absolute(RunSpec& spec, const std::string& folder);
/// Reads a spec file, or, when no such file exists, the preset of that name. Throws SpecError.
RunSpec load_spec(const std::string& path_or_preset);
/// The same error with the line and column of its key in a spec file, where that file sets it; for
/// what only shows when a spec is used.
SpecError located(const SpecError& error, const std::string& path);
/// Sets one value by dotted key from text ("optim.agvm.enabled", "true"). Throws SpecError.
void set_value(RunSpec& spec, const std::string& key, const std::string& value);
/// Reads one value by dotted key in canonical TOML notation; empty for an absent optional. Throws
/// SpecError.
std::string get_value(const RunSpec& spec, const std::string& key);
/// A shadow of method `name` (empty label: the name) with other keys of [optim] by their dotted
/// names, as --set takes them ("optim.lr" -> "0.01"). Throws SpecError naming the key.
ShadowSpec make_shadow(const std::string& name,
                       const std::string& label,
                       const std::map<std::string, std::string>& set);
/// The spec of a run whose optimizer is this shadow, without shadows: resolve() gives its plan.
RunSpec shadow_spec(const RunSpec& spec, const ShadowSpec& shadow);
/// Shadows keep their settings when the run's change: gives every shadow of `next` the keys of
/// [optim] that it shared with `old` and that differ now.
void keep_shadows(const RunSpec& old, RunSpec& next);
/// Checks ranges, contradictions and that a coco data set is named. Throws SpecError.
void validate(const RunSpec& spec);
/// Canonical TOML: every key that has a value, in schema order, so that a stored spec does not
/// depend on later defaults; parse_spec(to_toml(s)) == s.
std::string to_toml(const RunSpec& spec);

/// One key of the schema, for `spec schema`, the launch dialog and messages.
struct KeyInfo {
  std::string key;       // "optim.lr"
  std::string type;      // "float", "integer", "boolean", "string", "[float, float]", …
  std::string fallback;  // default in TOML notation, or "(derived)"
  std::string range;     // "> 0", "one of sgd, adamw, …", or empty
  std::string help;
};
std::vector<KeyInfo> schema();

/// Names of the presets that the product ships, and the TOML of one (throws SpecError for an
/// unknown name).
std::vector<std::string> preset_names();
std::string preset_toml(const std::string& name);

/// Differences of two specs as (key, value in a, value in b), for Compare and `runs diff`.
struct SpecDifference {
  std::string key, a, b;
};
std::vector<SpecDifference> diff_specs(const RunSpec& a, const RunSpec& b);

/// The numbers that follow from a spec once the training set's size is known. Everything that
/// schedules use counts pictures.
struct ResolvedPlan {
  std::int64_t effective_batch = 0;
  std::int64_t total_images = 0;
  std::int64_t steps = 0;  // ceil(total_images / effective_batch); the last update may be smaller
  std::int64_t warmup_images = 0;  // whole updates of the starting batch; may be beyond the end
  std::int64_t warmup_steps = 0;
  std::vector<std::int64_t> decay_images;  // milestones of "step"
  double lr = 0;                           // base lr after lr_rule
  double eps = 0;
  std::string clip_form;
  std::int64_t pmd_period = 0, pmd_start = 0;
  std::int64_t agvm_start = 0, agvm_stop = 0;  // agvm_stop: INT64_MAX if none
};
ResolvedPlan resolve(const RunSpec& spec, std::int64_t train_pictures);
/// Sentences about what is asked and cannot come: a warm-up as long as the run, or longer. It ramps
/// as asked.
std::vector<std::string> plan_warnings(const RunSpec& spec, const ResolvedPlan& plan);

}  // namespace batchscope::contract
