#include "engine/train/replay.h"

#include "engine/contract/error.h"
#include "engine/train/replay_input.h"
#include "engine/train/updater.h"
#include "models/weights/weight_error.h"

#include <torch/utils.h>

#include <nlohmann/json.hpp>

#include <cmath>
#include <limits>

namespace batchscope::train {
namespace {

using contract::SpecError;

/// Pictures of an epoch, for lengths given in epochs. The pictures themselves are not looked at.
std::int64_t training_pictures(const contract::RunSpec& spec) {
  const contract::DataSection& data = spec.data;
  if (data.kind == "synthetic-shapes") {
    return data.max_pictures > 0 ? std::min(data.max_pictures, data.train_pictures)
                                 : data.train_pictures;
  }
  const contract::ScheduleSection& schedule = spec.schedule;
  const char* field = schedule.epochs                  ? "schedule.epochs"
                      : schedule.warmup.epochs         ? "schedule.warmup.epochs"
                      : !schedule.decay.epochs.empty() ? "schedule.decay.epochs"
                                                       : nullptr;
  if (field != nullptr && data.max_pictures == 0) {
    throw SpecError(field,
                    std::string(field) +
                        " cannot be replayed: the pictures of a coco set are not counted, so give "
                        "the length in steps or images, or data.max_pictures.");
  }
  return std::max<std::int64_t>(1, data.max_pictures);
}

/// An update state at the start of a run.
UpdateState start_of(const contract::RunSpec& spec) {
  UpdateState state;
  state.spec = spec;
  state.start_batch = spec.batch;
  return state;
}

/// One replay: the updater and the files.
class Replay {
 public:
  Replay(const contract::RunSpec& spec,
         const std::filesystem::path& in,
         const std::filesystem::path& out,
         torch::Device device)
      : input_(in, device),
        state_(start_of(spec)),
        updater_(state_, input_.modules(), input_.parameters(), training_pictures(spec)),
        output_(out,
                models::WeightFormat::kSafetensors,
                announced(),
                {.metadata = {{"modules", nlohmann::json(input_.modules()).dump()},
                              {"format", "batchscope-optim-replay-1"}}}) {
    for (const contract::ScriptedEvent& event : spec.events) {
      check(event);
    }
    summary_.steps = input_.steps();
    summary_.tensors = static_cast<std::int64_t>(input_.parameters().size());
    summary_.modules = static_cast<std::int64_t>(input_.modules().size());
  }

  ReplaySummary run() {
    const torch::NoGradGuard no_grad;
    for (std::int64_t step = 1; step <= input_.steps(); ++step) {
      carry_out_events();
      ReplayGradients gradients = input_.gradients(step);
      const bool measured = measure(gradients);
      const std::vector<double> d =
          measured ? updater_.agvm().d()
                   : std::vector<double>(input_.modules().size(),
                                         std::numeric_limits<double>::quiet_NaN());
      const optim::StepReport report =
          updater_.update(gradients.mean, state_.spec.batch.effective(), false);
      summary_.skipped += report.applied ? 0 : 1;
      summary_.measured += measured ? 1 : 0;
      write(report, d);
    }
    output_.finish();
    return summary_;
  }

 private:
  std::vector<models::TensorSpec> announced() const {
    std::vector<models::TensorSpec> entries;
    const auto modules = static_cast<std::int64_t>(input_.modules().size());
    for (std::int64_t step = 1; step <= input_.steps(); ++step) {
      const std::string t = "/" + std::to_string(step);
      for (std::size_t p = 0; p < input_.parameters().size(); ++p) {
        const optim::Parameter& parameter = input_.parameters()[p];
        const std::string place = t + "/" + parameter.name;
        entries.push_back({"param" + place, input_.types()[p], parameter.tensor.sizes().vec()});
        entries.push_back({"trust" + place, input_.types()[p], {}});
      }
      entries.push_back({"mu" + t, input_.types()[0], {modules}});
      entries.push_back({"d" + t, input_.types()[0], {modules}});
    }
    return entries;
  }

  static void check(const contract::ScriptedEvent& event) {
    const bool known = std::holds_alternative<contract::OptimizerCommand>(event.command) ||
                       std::holds_alternative<contract::LrCommand>(event.command) ||
                       std::holds_alternative<contract::AccumulationCommand>(event.command) ||
                       std::holds_alternative<contract::EndCommand>(event.command) ||
                       std::holds_alternative<contract::CheckpointCommand>(event.command);
    if (!known) {
      throw SpecError("events.command",
                      "events.command " + contract::command_name(event.command) + " at step " +
                          std::to_string(event.step) +
                          " cannot be replayed; expected optimizer, lr, accumulation or end.");
    }
  }

  void carry_out_events() {
    const auto& events = state_.spec.events;
    while (events_done_ < events.size() && events[events_done_].step <= state_.step) {
      const contract::ScriptedEvent event = events[events_done_++];
      std::visit([this](const auto& command) { apply(command); }, event.command);
      summary_.events.push_back(contract::command_name(event.command) + " after step " +
                                std::to_string(state_.step));
    }
  }

  void apply(const contract::OptimizerCommand& command) {
    PlannedChange planned = updater_.plan_change(command);
    if (!command.dry_run) {
      updater_.apply(std::move(planned), command);
    }
  }
  void apply(const contract::LrCommand& command) { updater_.apply(command); }
  void apply(const contract::AccumulationCommand& command) { updater_.apply(command); }
  void apply(const contract::EndCommand& command) { updater_.apply(command); }
  template <class Other>
  void apply(const Other& /*command*/) {}

  bool measure(const ReplayGradients& gradients) {
    const double half = static_cast<double>(state_.spec.batch.effective()) / 2;
    return gradients.halves && updater_.measures(2) &&
           updater_.measure({gradients.half1, gradients.half2, half, half});
  }

  void write(const optim::StepReport& report, const std::vector<double>& d) {
    for (std::size_t p = 0; p < input_.parameters().size(); ++p) {
      output_.write(input_.parameters()[p].tensor);
      output_.write(torch::scalar_tensor(report.tensor_trust.empty() ? 1.0 : report.tensor_trust[p],
                                         torch::kFloat64));
    }
    output_.write(torch::tensor(updater_.last_mu(), torch::kFloat64));
    output_.write(torch::tensor(d, torch::kFloat64));
  }

  ReplayInput input_;
  UpdateState state_;
  Updater updater_;
  models::TensorFileWriter output_;
  std::size_t events_done_ = 0;
  ReplaySummary summary_;
};

}  // namespace

ReplaySummary replay(const contract::RunSpec& spec,
                     const std::filesystem::path& in,
                     const std::filesystem::path& out,
                     torch::Device device) {
  try {
    return Replay(spec, in, out, device).run();
  } catch (const models::WeightError& error) {
    throw contract::DataError(error.what());
  } catch (const models::DiskError& error) {
    throw contract::StorageError(error.what());
  }
}

}  // namespace batchscope::train
