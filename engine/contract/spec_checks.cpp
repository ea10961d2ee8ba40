#include "engine/contract/error.h"
#include "engine/contract/run_spec.h"
#include "engine/contract/spec_keys.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace batchscope::contract {
namespace {

constexpr std::int64_t kDefaultImages = 38400;
// Below this a run is short: it starts AGVM and divides PMD's period by its own length (headline.md
// section 2).
constexpr std::int64_t kShortRunSteps = 1000;
constexpr double kMostImages = 1e15;  // of a warm-up; what counts them goes further

template <class... T>
int given(const std::optional<T>&... values) {
  return (0 + ... + (values.has_value() ? 1 : 0));
}

void need(bool condition, const char* field, const std::string& sentence) {
  if (!condition) {
    throw SpecError(field, std::string(field) + " " + sentence);
  }
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    text += (text.empty() ? "" : ", ") + word;
  }
  return text;
}

std::int64_t run_images(const RunSpec& spec, std::int64_t train_pictures) {
  const auto& s = spec.schedule;
  if (s.images) {
    return *s.images;
  }
  if (s.steps) {
    return *s.steps * spec.batch.effective();
  }
  if (s.epochs) {
    return std::max<std::int64_t>(1, std::llround(*s.epochs * static_cast<double>(train_pictures)));
  }
  return kDefaultImages;
}

std::int64_t warmup_steps(const WarmupSpec& warmup,
                          const ResolvedPlan& plan,
                          std::int64_t train_pictures) {
  if (warmup.kind == "none") {
    return 0;
  }
  const double most = kMostImages / static_cast<double>(plan.effective_batch);
  const auto whole = [&](double images) {
    return static_cast<std::int64_t>(
        std::min(most, images / static_cast<double>(plan.effective_batch) + 1e-9));
  };
  std::int64_t steps = 0;
  if (warmup.steps) {
    steps = *warmup.steps;
  } else if (warmup.images) {
    steps = whole(static_cast<double>(*warmup.images));
  } else if (warmup.epochs) {
    steps = whole(*warmup.epochs * static_cast<double>(train_pictures));
  } else {
    const double fraction = warmup.fraction.value_or(0.1);
    steps =
        fraction > 0
            ? std::max<std::int64_t>(
                  1, static_cast<std::int64_t>(fraction * static_cast<double>(plan.steps) + 1e-9))
            : 0;
  }
  return std::min(steps, static_cast<std::int64_t>(most));
}

std::vector<std::int64_t> milestones(const DecaySpec& decay,
                                     const ResolvedPlan& plan,
                                     std::int64_t train_pictures) {
  std::vector<std::int64_t> images = decay.images;
  for (const double epoch : decay.epochs) {
    images.push_back(std::llround(epoch * static_cast<double>(train_pictures)));
  }
  for (const std::int64_t step : decay.steps) {
    images.push_back(step * plan.effective_batch);
  }
  std::sort(images.begin(), images.end());
  return images;
}

/// Keys that only some kinds of data sets have.
void check_kind_keys(const DataSection& data) {
  struct KindKey {
    const char* field;
    bool given;
    std::vector<std::string> kinds;
  };
  const std::vector<std::string> listed = {"voc", "ade20k", "openimages"};
  const std::vector<KindKey> keys = {
      {"data.list", !data.list.empty(), listed},
      {"data.val_list", !data.val_list.empty(), listed},
      {"data.segments", !data.segments.empty(), {"coco-panoptic"}},
      {"data.val_segments", !data.val_segments.empty(), {"coco-panoptic"}},
      {"data.classes", !data.classes.empty(), {"ade20k", "openimages"}},
      {"data.hierarchy", !data.hierarchy.empty(), {"openimages"}},
      {"data.val_image_labels", !data.val_image_labels.empty(), {"openimages"}},
      {"data.ignored_label", data.ignored_label != 0, {"ade20k"}},
      {"data.skip_empty", data.skip_empty, {"coco", "coco-panoptic", "voc", "openimages"}}};
  for (const KindKey& key : keys) {
    const auto& kinds = key.kinds;
    need(!key.given || std::find(kinds.begin(), kinds.end(), data.kind) != kinds.end(),
         key.field,
         "does not go with data.kind \"" + data.kind + "\"; it is of " + joined(kinds));
  }
}

void check_data(const DataSection& data) {
  check_kind_keys(data);
  if (data.kind == "synthetic-shapes") {
    return;
  }
  const std::string when = " when data.kind is \"" + data.kind + "\"";
  need(!data.annotations.empty(), "data.annotations", "must name the training annotations" + when);
  need(!data.images.empty(), "data.images", "must name the folder of the training pictures" + when);
  const bool validates = !data.val_annotations.empty() || !data.val_list.empty();
  need(data.val_images.empty() || validates,
       "data.val_images",
       "and data.val_annotations must be given together");
  need(data.val_image_labels.empty() || validates,
       "data.val_image_labels",
       "needs a validation set: data.val_annotations or data.val_list");
  need(data.kind != "coco" || !validates || !data.val_images.empty(),
       "data.val_images",
       "and data.val_annotations must be given together");
}

double ruled_lr(const OptimSection& optim, std::int64_t batch) {
  const double ratio = static_cast<double>(batch) / static_cast<double>(optim.base_batch);
  if (optim.lr_rule == "linear") {
    return optim.lr * ratio;
  }
  if (optim.lr_rule == "sqrt") {
    return optim.lr * std::sqrt(ratio);
  }
  if (optim.lr_rule == "mixed") {
    // Linear up to 128, square root beyond (algorithms.md 1.1); lr is the rate at base_batch.
    const auto growth = [](std::int64_t b) {
      const double linear = static_cast<double>(std::min<std::int64_t>(b, 128));
      return linear * std::sqrt(static_cast<double>(std::max<std::int64_t>(b, 128)) / 128.0);
    };
    return optim.lr * growth(batch) / growth(optim.base_batch);
  }
  return optim.lr;
}

}  // namespace

void detail::check_contradictions(const RunSpec& spec) {
  const auto& optim = spec.optim;
  const auto& schedule = spec.schedule;
  need(given(schedule.epochs, schedule.steps, schedule.images) <= 1,
       "schedule",
       "takes one of epochs, steps and images");
  const auto& warmup = schedule.warmup;
  need(given(warmup.steps, warmup.images, warmup.epochs, warmup.fraction) <= 1,
       "schedule.warmup",
       "takes one of steps, epochs, images and fraction");
  const auto& decay = schedule.decay;
  const int lists = (decay.epochs.empty() ? 0 : 1) + (decay.steps.empty() ? 0 : 1) +
                    (decay.images.empty() ? 0 : 1);
  need(lists <= 1, "schedule.decay", "takes one of epochs, steps and images");
  need(decay.kind != "step" || lists == 1,
       "schedule.decay",
       "of kind step needs its milestones: epochs, steps or images");
  need(!optim.nesterov || (optim.momentum > 0 && optim.dampening == 0),
       "optim.nesterov",
       "needs momentum > 0 and dampening 0");
  need(optim.lamb.trust_min <= optim.lamb.trust_max,
       "optim.lamb.trust_min",
       "must not be above optim.lamb.trust_max");
  need(optim.agvm.clamp[0] <= optim.agvm.clamp[1],
       "optim.agvm.clamp",
       "must be [low, high] with low <= high");
  need(spec.data.min_object <= spec.data.max_object,
       "data.min_object",
       "must not be above data.max_object");
  need(spec.data.max_object <= static_cast<double>(spec.data.size),
       "data.max_object",
       "must not be above data.size");
  const std::int64_t sharing = spec.model.syncbn_group;
  need(sharing == 0 || spec.batch.ranks % sharing == 0,
       "model.syncbn_group",
       "must divide batch.ranks (" + std::to_string(spec.batch.ranks) + "), found " +
           std::to_string(sharing));
  check_shadows(spec);
  for (const auto& event : spec.events) {
    const bool allowed = !std::holds_alternative<HelloCommand>(event.command) &&
                         !std::holds_alternative<StatusCommand>(event.command);
    need(allowed,
         "events.command",
         "cannot be " + command_name(event.command) + ": it changes nothing");
  }
}

void validate(const RunSpec& spec) {
  for (const auto& key : detail::keys()) {
    const auto violation = detail::range_violation(key.range, key.get(spec));
    need(violation.empty(), key.name.c_str(), violation);
  }
  detail::check_contradictions(spec);
  need(spec.model.weights_key.empty() || !spec.model.weights.empty(),
       "model.weights_key",
       "chooses within the file model.weights, which is not given");
  check_data(spec.data);
}

ResolvedPlan resolve(const RunSpec& spec, std::int64_t train_pictures) {
  ResolvedPlan plan;
  plan.effective_batch = spec.batch.effective();
  plan.total_images = run_images(spec, train_pictures);
  plan.steps = (plan.total_images + plan.effective_batch - 1) / plan.effective_batch;
  plan.warmup_steps = warmup_steps(spec.schedule.warmup, plan, train_pictures);
  plan.warmup_images = plan.warmup_steps * plan.effective_batch;
  plan.decay_images = milestones(spec.schedule.decay, plan, train_pictures);
  plan.lr = ruled_lr(spec.optim, plan.effective_batch);
  const bool lamb_family = spec.optim.name == "lamb" || spec.optim.name == "pmd_lamb";
  plan.eps = spec.optim.eps.value_or(lamb_family ? 1e-6 : 1e-8);
  plan.clip_form = spec.optim.clip_form.value_or(lamb_family ? "lamb" : "torch");
  const bool brief = plan.steps < kShortRunSteps;
  plan.pmd_period =
      spec.optim.pmd.period.value_or(brief ? std::max<std::int64_t>(20, plan.steps / 7) : 200);
  plan.pmd_start = spec.optim.pmd.start.value_or(plan.warmup_steps);
  const std::int64_t after_warmup =
      brief ? static_cast<std::int64_t>(1.2 * static_cast<double>(plan.warmup_steps)) + 1
            : plan.warmup_steps + 100;
  plan.agvm_start = spec.optim.agvm.start.value_or(after_warmup);
  plan.agvm_stop = spec.optim.agvm.stop.value_or(std::numeric_limits<std::int64_t>::max());
  if (spec.optim.agvm.enabled && plan.agvm_start <= plan.warmup_steps) {
    throw SpecError("optim.agvm.start",
                    "optim.agvm.start must come after the warm-up of " +
                        std::to_string(plan.warmup_steps) + " updates, found " +
                        std::to_string(plan.agvm_start));
  }
  return plan;
}

std::vector<std::string> plan_warnings(const RunSpec& spec, const ResolvedPlan& plan) {
  const auto& warmup = spec.schedule.warmup;
  const bool asked = given(warmup.steps, warmup.images, warmup.epochs, warmup.fraction) > 0;
  if (!asked || plan.warmup_steps < plan.steps) {
    return {};
  }
  return {"The warm-up (schedule.warmup) takes " + std::to_string(plan.warmup_steps) +
          " updates, the run " + std::to_string(plan.steps) +
          ": no update follows the warm-up at its full learning rate."};
}

}  // namespace batchscope::contract
