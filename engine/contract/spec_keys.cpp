#include "engine/contract/spec_keys.h"

#include <algorithm>
#include <type_traits>
#include <utility>

// Over 400 lines on purpose: it is one table, a line a key, and reads best in one piece.
namespace batchscope::contract::detail {
namespace {

template <class T>
struct Member {
  static constexpr bool kOptional = false;
  using Type = T;
};
template <class T>
struct Member<std::optional<T>> {
  static constexpr bool kOptional = true;
  using Type = T;
};

template <class T>
constexpr ValueType value_type() {
  if constexpr (std::is_same_v<T, bool>) {
    return ValueType::kBool;
  } else if constexpr (std::is_same_v<T, std::int64_t>) {
    return ValueType::kInteger;
  } else if constexpr (std::is_same_v<T, double>) {
    return ValueType::kFloat;
  } else if constexpr (std::is_same_v<T, std::string>) {
    return ValueType::kString;
  } else if constexpr (std::is_same_v<T, std::array<double, 2>>) {
    return ValueType::kFloatPair;
  } else if constexpr (std::is_same_v<T, std::vector<double>>) {
    return ValueType::kFloats;
  } else if constexpr (std::is_same_v<T, std::vector<std::int64_t>>) {
    return ValueType::kIntegers;
  } else if constexpr (std::is_same_v<T, std::vector<ShadowSpec>>) {
    return ValueType::kShadows;
  } else {
    return ValueType::kStrings;
  }
}

template <class T>
Value box(const T& member) {
  if constexpr (Member<T>::kOptional) {
    return member ? box(*member) : Value{};
  } else if constexpr (std::is_same_v<T, std::array<double, 2>>) {
    return std::vector<double>(member.begin(), member.end());
  } else {
    return member;
  }
}

template <class T>
void unbox(const Value& value, T& member) {
  if constexpr (Member<T>::kOptional) {
    if (std::holds_alternative<std::monostate>(value)) {
      member.reset();
    } else {
      typename Member<T>::Type inner{};
      unbox(value, inner);
      member = inner;
    }
  } else if constexpr (std::is_same_v<T, std::array<double, 2>>) {
    const auto& pair = std::get<std::vector<double>>(value);
    member = {pair.at(0), pair.at(1)};
  } else {
    member = std::get<T>(value);
  }
}

struct Builder {
  std::vector<Key> keys;

  // `at` maps a spec (const or not) to the member.
  template <class At>
  void add(const char* name, At at, Range range, const char* help) {
    using T = std::remove_cvref_t<decltype(at(std::declval<RunSpec&>()))>;
    Key key;
    key.name = name;
    key.type = value_type<typename Member<T>::Type>();
    key.optional = Member<T>::kOptional;
    key.range = std::move(range);
    key.help = help;
    key.get = [at](const RunSpec& spec) { return box(at(spec)); };
    key.set = [at](RunSpec& spec, const Value& value) { unbox(value, at(spec)); };
    keys.push_back(std::move(key));
  }
};

#define AT(member) ([](auto& s) -> auto& { return s.member; })

Range any() {
  return {};
}
Range at_least(double bound) {
  return {.at_least = bound, .at_most = {}, .above = {}, .below = {}, .one_of = {}};
}
Range above(double bound) {
  return {.at_least = {}, .at_most = {}, .above = bound, .below = {}, .one_of = {}};
}
Range within(double low, double high) {
  return {.at_least = low, .at_most = high, .above = {}, .below = {}, .one_of = {}};
}
Range from_below(double low, double high) {
  return {.at_least = low, .at_most = {}, .above = {}, .below = high, .one_of = {}};
}
Range one_of(std::vector<std::string> words) {
  return {.at_least = {}, .at_most = {}, .above = {}, .below = {}, .one_of = std::move(words)};
}

void add_run_and_data(Builder& b) {
  b.add("run.name", AT(run.name), any(), "name shown in lists");
  b.add("run.seed",
        AT(run.seed),
        at_least(0),
        "seed of weights, picture order and every random choice");
  b.add("run.tags", AT(run.tags), any(), "words to filter by");
  b.add("run.notes", AT(run.notes), any(), "free text");
  b.add("data.kind",
        AT(data.kind),
        one_of({"synthetic-shapes", "coco", "coco-panoptic", "voc", "ade20k", "openimages"}),
        "kind of data set");
  b.add("data.annotations",
        AT(data.annotations),
        any(),
        "of the training set, relative to the spec: JSON file (coco, coco-panoptic), CSV of boxes "
        "(openimages), folder of XML files (voc) or of label PNGs (ade20k)");
  b.add("data.images", AT(data.images), any(), "folder of the training pictures");
  b.add("data.segments",
        AT(data.segments),
        any(),
        "coco-panoptic: folder of the PNGs; none: the annotations' name without .json");
  b.add("data.list",
        AT(data.list),
        any(),
        "voc, ade20k, openimages: text file of the pictures to train on, a name without ending in "
        "each line; none: all");
  b.add("data.val_annotations",
        AT(data.val_annotations),
        any(),
        "of the validation set; none with val_list: the training set's");
  b.add("data.val_images",
        AT(data.val_images),
        any(),
        "folder of the validation pictures; none, but for coco: the training set's");
  b.add("data.val_segments",
        AT(data.val_segments),
        any(),
        "coco-panoptic: folder of the validation set's PNGs, as segments");
  b.add("data.val_list", AT(data.val_list), any(), "list of the validation set");
  b.add("data.classes",
        AT(data.classes),
        any(),
        "names of the classes: a line each, or JSON with COCO categories (ade20k; none: class 1, "
        "class 2, ...); CSV of LabelName, DisplayName (openimages; none: the labels found)");
  b.add("data.hierarchy",
        AT(data.hierarchy),
        any(),
        "openimages: JSON tree of the classes; true boxes count for those above, too, in "
        "OpenImages_AP50");
  b.add("data.val_image_labels",
        AT(data.val_image_labels),
        any(),
        "openimages: CSV of the validation pictures' verified labels, for OpenImages_AP50");
  b.add("data.ignored_label",
        AT(data.ignored_label),
        within(0, 65535),
        "ade20k: value of pixels without label");
  b.add("data.size", AT(data.size), within(16, 4096), "synthetic: side of the pictures, px");
  b.add("data.seed",
        AT(data.seed),
        at_least(0),
        "synthetic: seed of the drawn pictures, apart from run.seed");
  b.add(
      "data.train_pictures", AT(data.train_pictures), at_least(1), "synthetic: training pictures");
  b.add("data.val_pictures", AT(data.val_pictures), at_least(1), "synthetic: validation pictures");
  b.add("data.max_objects",
        AT(data.max_objects),
        within(1, 1000),
        "synthetic: one to this many shapes a picture");
  b.add("data.min_object", AT(data.min_object), above(0), "synthetic: least side of a shape, px");
  b.add(
      "data.max_object", AT(data.max_object), above(0), "synthetic: greatest side of a shape, px");
  b.add("data.noise",
        AT(data.noise),
        within(0, 10),
        "synthetic: standard deviation of the noise, picture values 0 to 1");
  b.add("data.masks",
        AT(data.masks),
        any(),
        "read instance masks even where the model does not need them");
  b.add("data.min_size",
        AT(data.min_size),
        at_least(0),
        "resize the short side to this, px; 0: the model's own rule");
  b.add("data.max_size",
        AT(data.max_size),
        at_least(0),
        "bound of the long side after resizing, px; 0: the model's own rule");
  b.add("data.flip", AT(data.flip), within(0, 1), "probability of a horizontal flip in training");
  b.add("data.max_pictures",
        AT(data.max_pictures),
        at_least(0),
        "use only the first N training pictures; 0: all");
  b.add("data.loader_threads",
        AT(data.loader_threads),
        within(0, 256),
        "prefetch threads per rank; 0: in the training thread");
}

void add_model_and_batch(Builder& b) {
  b.add(
      "model.name",
      AT(model.name),
      any(),
      "tiny_ (for a CPU) + faster_rcnn, mask_rcnn, retinanet, semantic_fpn or panoptic_fpn; "
      "fasterrcnn_resnet50_fpn, maskrcnn_resnet50_fpn or retinanet_resnet50_fpn, each also + _v2; "
      "semantic_fpn_resnet50, panoptic_fpn_resnet50; lab_faster_rcnn");
  b.add("model.backbone",
        AT(model.backbone),
        any(),
        "resnet18, resnet34, resnet50, resnet101 or swin_t; empty: the builder's own");
  b.add("model.weights", AT(model.weights), any(), "weight file to start from; empty: random");
  b.add("model.norm",
        AT(model.norm),
        one_of({"gn", "frozen", "bn", "syncbn"}),
        "normalisation of the backbone (swin_t has layer norms)");
  b.add("model.syncbn_group",
        AT(model.syncbn_group),
        at_least(0),
        "syncbn: neighbouring ranks that share batch statistics; 0: all");
  b.add("model.trainable_layers",
        AT(model.trainable_layers),
        within(0, 6),
        "backbone stages that train, from the last");
  b.add("model.score_threshold",
        AT(model.score_threshold),
        within(0, 1),
        "least score of a detection; none: the builder's own, 0.05");
  b.add("model.nms_threshold",
        AT(model.nms_threshold),
        within(0, 1),
        "overlap above which the lesser of two detections of a class goes; none: 0.5");
  b.add("model.max_detections",
        AT(model.max_detections),
        at_least(1),
        "most detections of a picture; none: 100, RetinaNet 300");
  b.add(
      "model.min_stuff_area",
      AT(model.min_stuff_area),
      at_least(0),
      "panoptic models: smallest region of stuff, px of the resized picture; none: 4096 where the "
      "short side is 800, in proportion elsewhere");
  b.add("batch.micro", AT(batch.micro), within(1, 65536), "pictures per rank and pass");
  b.add("batch.accumulation",
        AT(batch.accumulation),
        within(1, 1000000),
        "passes per rank and step (simulated batch)");
  b.add(
      "batch.ranks", AT(batch.ranks), within(1, 65536), "processes, one per GPU or per CPU share");
  b.add("batch.loss_normaliser",
        AT(batch.loss_normaliser),
        one_of({"per_micro", "global"}),
        "what losses that count positives divide by; global is not carried out yet and refused");
}

void add_optim(Builder& b) {
  b.add("optim.name",
        AT(optim.name),
        one_of({"sgd", "adamw", "lars", "lamb", "pmd_lamb"}),
        "optimizer");
  b.add("optim.lr", AT(optim.lr), above(0), "learning rate at base_batch (rule none: as it is)");
  b.add("optim.lr_rule",
        AT(optim.lr_rule),
        one_of({"none", "linear", "sqrt", "mixed"}),
        "how lr scales with the effective batch");
  b.add("optim.base_batch", AT(optim.base_batch), at_least(1), "batch that lr is meant for");
  b.add("optim.lr_on_batch_change",
        AT(optim.lr_on_batch_change),
        one_of({"keep", "rule"}),
        "lr when the batch changes live");
  b.add("optim.momentum", AT(optim.momentum), from_below(0, 1), "SGD, LARS: momentum");
  b.add("optim.dampening", AT(optim.dampening), from_below(0, 1), "SGD: dampening");
  b.add("optim.nesterov", AT(optim.nesterov), any(), "SGD: Nesterov's form");
  b.add("optim.betas",
        AT(optim.betas),
        from_below(0, 1),
        "AdamW, LAMB family: decay of the first and second moment");
  b.add("optim.eps",
        AT(optim.eps),
        at_least(0),
        "added to the root of the second moment; default 1e-8, LAMB family 1e-6");
  b.add("optim.weight_decay", AT(optim.weight_decay), at_least(0), "weight decay");
  b.add("optim.clip_norm",
        AT(optim.clip_norm),
        at_least(0),
        "bound of the global gradient norm; 0: off");
  b.add("optim.clip_form",
        AT(optim.clip_form),
        one_of({"torch", "lamb"}),
        "form of clipping; default torch, LAMB family lamb");
  b.add("optim.lamb.trust_clamp", AT(optim.lamb.trust_clamp), any(), "bound the trust ratio");
  b.add("optim.lamb.trust_min", AT(optim.lamb.trust_min), above(0), "least trust ratio");
  b.add("optim.lamb.trust_max", AT(optim.lamb.trust_max), above(0), "greatest trust ratio");
  b.add("optim.lamb.exclude_1d",
        AT(optim.lamb.exclude_1d),
        any(),
        "1-D tensors: trust ratio 1 and no decay");
  b.add("optim.lamb.always_adapt",
        AT(optim.lamb.always_adapt),
        any(),
        "trust ratio also without weight decay");
  b.add("optim.lamb.bias_correction",
        AT(optim.lamb.bias_correction),
        any(),
        "divide moments by their masses");
  b.add("optim.lamb.folded_bias",
        AT(optim.lamb.folded_bias),
        any(),
        "bias correction, if on, as a factor on the rate (DeepSpeed)");
  b.add("optim.lamb.grad_averaging",
        AT(optim.lamb.grad_averaging),
        any(),
        "weight the new gradient by 1 - beta1; off: by 1");
  b.add("optim.lamb.decay",
        AT(optim.lamb.decay),
        one_of({"inside", "decoupled", "l2"}),
        "weight decay in the update, beside it, or in the gradient (the latter two on the CPU)");
  b.add("optim.lamb.skip_dead",
        AT(optim.lamb.skip_dead),
        any(),
        "leave tensors without any gradient alone");
  b.add("optim.lars.trust_coefficient",
        AT(optim.lars.trust_coefficient),
        above(0),
        "LARS: trust coefficient");
  b.add("optim.lars.form",
        AT(optim.lars.form),
        one_of({"post", "pre"}),
        "LARS: lr after or inside the momentum buffer");
  b.add("optim.lars.clip", AT(optim.lars.clip), any(), "LARS: bound the ratio by lr");
  b.add("optim.lars.exclude_1d",
        AT(optim.lars.exclude_1d),
        any(),
        "LARS: 1-D tensors unscaled and without decay");
  b.add("optim.lars.compat_ratio1",
        AT(optim.lars.compat_ratio1),
        any(),
        "LARS: ratio 1 at a zero gradient, as other codes do");
  b.add("optim.lars.compat_untouched",
        AT(optim.lars.compat_untouched),
        any(),
        "LARS: at a zero norm neither scaling nor decay, as apex does (CPU); over compat_ratio1");
  b.add("optim.lars.decay_in_ratio",
        AT(optim.lars.decay_in_ratio),
        any(),
        "LARS: weight decay counts in the ratio's denominator");
  b.add("optim.lars.always_adapt",
        AT(optim.lars.always_adapt),
        any(),
        "LARS: scale also without weight decay");
  b.add("optim.pmd.period",
        AT(optim.pmd.period),
        at_least(1),
        "PMD-LAMB: updates per period; default 200, short runs max(20, steps/7)");
  b.add("optim.pmd.curve",
        AT(optim.pmd.curve),
        one_of({"cosine", "linear"}),
        "PMD-LAMB: curve from 1 to 0");
  b.add("optim.pmd.variant",
        AT(optim.pmd.variant),
        one_of({"moment_scale", "beta_scale", "readout"}),
        "PMD-LAMB: reading of the paper");
  b.add("optim.pmd.hit_zero",
        AT(optim.pmd.hit_zero),
        any(),
        "PMD-LAMB: the last coefficient of a period is 0");
  b.add("optim.pmd.start",
        AT(optim.pmd.start),
        at_least(0),
        "PMD-LAMB: updates before the first period; default: the warm-up");
  b.add("optim.agvm.enabled",
        AT(optim.agvm.enabled),
        any(),
        "AGVM: modulate the learning rate of the modules");
  b.add("optim.agvm.observe",
        AT(optim.agvm.observe),
        any(),
        "AGVM: measure the gradient variance while off");
  b.add("optim.agvm.interval",
        AT(optim.agvm.interval),
        at_least(1),
        "AGVM: updates between measurements");
  b.add("optim.agvm.alpha", AT(optim.agvm.alpha), from_below(0, 1), "AGVM: memory of the factors");
  b.add("optim.agvm.start",
        AT(optim.agvm.start),
        at_least(1),
        "AGVM: first measuring update; default: warm-up + 100, short runs 1.2 x warm-up");
  b.add("optim.agvm.stop", AT(optim.agvm.stop), at_least(1), "AGVM: last measuring update");
  b.add("optim.agvm.anchor", AT(optim.agvm.anchor), any(), "AGVM: module whose factor stays 1");
  b.add("optim.agvm.clamp",
        AT(optim.agvm.clamp),
        above(0),
        "AGVM: bounds of the ratio before the root");
  b.add("optim.agvm.interleave",
        AT(optim.agvm.interleave),
        any(),
        "AGVM: halves are even and odd micro-batches");
  b.add("optim.agvm.compat_official",
        AT(optim.agvm.compat_official),
        any(),
        "AGVM: the published code's scale in the preconditioner");
  b.add(
      "optim.shadow",
      AT(optim.shadow),
      any(),
      "other optimizers fed the same gradients: name, label, and the keys of [optim] that differ");
}

void add_schedule(Builder& b) {
  b.add("schedule.epochs",
        AT(schedule.epochs),
        above(0),
        "length of the run in passes over the training set");
  b.add("schedule.steps", AT(schedule.steps), at_least(1), "length of the run in updates");
  b.add("schedule.images",
        AT(schedule.images),
        at_least(1),
        "length of the run in pictures; default 38400");
  b.add("schedule.warmup.kind",
        AT(schedule.warmup.kind),
        one_of({"none", "linear", "exp", "constant_speed", "ramp"}),
        "warm-up");
  b.add("schedule.warmup.steps",
        AT(schedule.warmup.steps),
        at_least(0),
        "length of the warm-up in updates");
  b.add("schedule.warmup.images", AT(schedule.warmup.images), at_least(0), "… in pictures");
  b.add("schedule.warmup.epochs", AT(schedule.warmup.epochs), at_least(0), "… in epochs");
  b.add("schedule.warmup.fraction",
        AT(schedule.warmup.fraction),
        within(0, 1),
        "… as a part of the run; default 0.1");
  b.add("schedule.warmup.ratio",
        AT(schedule.warmup.ratio),
        within(0, 1),
        "linear, exp: first lr / lr");
  b.add("schedule.warmup.from", AT(schedule.warmup.from), at_least(0), "constant_speed: first lr");
  b.add("schedule.decay.kind",
        AT(schedule.decay.kind),
        one_of({"none", "step", "cosine", "poly"}),
        "decay after the warm-up");
  b.add("schedule.decay.epochs",
        AT(schedule.decay.epochs),
        at_least(0),
        "step: milestones in epochs");
  b.add("schedule.decay.steps", AT(schedule.decay.steps), at_least(0), "… in updates");
  b.add("schedule.decay.images", AT(schedule.decay.images), at_least(0), "… in pictures");
  b.add("schedule.decay.factor",
        AT(schedule.decay.factor),
        within(0, 1),
        "step: factor at a milestone");
  b.add("schedule.decay.power", AT(schedule.decay.power), above(0), "poly: power");
}

void add_the_rest(Builder& b) {
  b.add("precision.mode",
        AT(precision.mode),
        one_of({"fp32", "bf16", "tf32"}),
        "arithmetic of forward and backward: bf16 by autocast, tf32 on CUDA");
  b.add("precision.threads",
        AT(precision.threads),
        within(0, 1024),
        "intra-op threads per rank; 0: cores / ranks, 1 for lab models");
  b.add("eval.every_steps", AT(eval.every_steps), at_least(0), "evaluate every N updates; 0: no");
  b.add("eval.every_epochs", AT(eval.every_epochs), at_least(0), "evaluate every N epochs; 0: no");
  b.add("eval.at_end", AT(eval.at_end), any(), "evaluate when the run finishes");
  b.add("eval.max_pictures",
        AT(eval.max_pictures),
        at_least(0),
        "evaluate on the first N pictures; 0: all");
  b.add("eval.batch",
        AT(eval.batch),
        at_least(0),
        "pictures per forward pass; 0: chosen by the engine");
  b.add("eval.probes",
        AT(eval.probes),
        within(0, 256),
        "fixed pictures whose predictions are stored");
  b.add("eval.target.metric",
        AT(eval.target.metric),
        any(),
        "metric to reach (AP, AP50, …); empty: none");
  b.add("eval.target.value", AT(eval.target.value), any(), "value to reach");
  b.add("eval.target.stop", AT(eval.target.stop), any(), "end the run when it is reached");
  b.add("checkpoint.every_steps",
        AT(checkpoint.every_steps),
        at_least(0),
        "save every N updates; 0: at the end and on request");
  b.add("checkpoint.keep", AT(checkpoint.keep), at_least(1), "newest checkpoints kept");
  b.add("checkpoint.restore_points",
        AT(checkpoint.restore_points),
        at_least(1),
        "newest restore points kept (undo goes back that far)");
  b.add("telemetry.module_interval",
        AT(telemetry.module_interval),
        at_least(1),
        "per-module figures every N updates");
  b.add("telemetry.tensor_interval",
        AT(telemetry.tensor_interval),
        at_least(0),
        "norms of every tensor every N updates; 0: never; 32 bytes a tensor each time");
  b.add("telemetry.budget_percent",
        AT(telemetry.budget_percent),
        within(0, 100),
        "most time for diagnostics, % of a step; above it they become rarer");
  b.add("guard.loss_limit", AT(guard.loss_limit), above(0), "a loss above this is divergence");
  b.add("guard.nonfinite_limit",
        AT(guard.nonfinite_limit),
        at_least(1),
        "skipped updates in a row that are divergence");
  b.add("guard.on_diverge",
        AT(guard.on_diverge),
        one_of({"stop", "pause", "continue"}),
        "what a diverged run does");
}

#undef AT

}  // namespace

const std::vector<Key>& keys() {
  static const std::vector<Key> table = [] {
    Builder builder;
    add_run_and_data(builder);
    add_model_and_batch(builder);
    add_optim(builder);
    add_schedule(builder);
    add_the_rest(builder);
    return std::move(builder.keys);
  }();
  return table;
}

const Key* find_key(const std::string& name) {
  const auto& table = keys();
  const auto found =
      std::find_if(table.begin(), table.end(), [&](const Key& k) { return k.name == name; });
  return found == table.end() ? nullptr : &*found;
}

}  // namespace batchscope::contract::detail
