#include "engine/contract/spec_keys.h"

#include "engine/contract/spec_key_table.h"

#include <algorithm>
#include <utility>

namespace batchscope::contract::detail {
namespace {

void add_run_keys(KeyTable& b) {
  b.add("run.name", AT(run.name), any(), "name shown in lists");
  b.add("run.seed",
        AT(run.seed),
        at_least(0),
        "seed of weights, picture order and every random choice");
  b.add("run.tags", AT(run.tags), any(), "words to filter by");
  b.add("run.notes", AT(run.notes), any(), "free text");
}

void add_batch_keys(KeyTable& b) {
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

void add_schedule(KeyTable& b) {
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
        "length of the warm-up in updates; it may go beyond the end of the run");
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

void add_the_rest(KeyTable& b) {
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
        "save every N updates; 0: by time alone");
  b.add("checkpoint.every_minutes",
        AT(checkpoint.every_minutes),
        at_least(0),
        "save when this long has passed since the last save; 0: by steps alone");
  b.add("checkpoint.keep", AT(checkpoint.keep), at_least(1), "newest checkpoints kept");
  b.add("checkpoint.restore_points",
        AT(checkpoint.restore_points),
        at_least(1),
        "newest restore points kept (undo goes back that far)");
  b.add("checkpoint.restore_megabytes",
        AT(checkpoint.restore_megabytes),
        at_least(0),
        "bytes that restore points may take, in 10^6; the newest one always stays");
  b.add("distributed.timeout",
        AT(distributed.timeout),
        within(1, 86400),
        "seconds that ranks have to meet, and to come to a collective, before one is lost");
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

}  // namespace

const std::vector<Key>& keys() {
  static const std::vector<Key> table = [] {
    KeyTable builder;
    add_run_keys(builder);
    add_data_keys(builder);
    add_model_keys(builder);
    add_batch_keys(builder);
    add_optim_keys(builder);
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
