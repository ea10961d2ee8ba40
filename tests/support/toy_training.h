#pragma once

#include "engine/train/trainer.h"
#include "tests/support/memory_sink.h"

#include <torch/nn/module.h>
#include <torch/nn/modules/linear.h>

#include <deque>
#include <functional>
#include <string>
#include <vector>

namespace batchscope::testing {

/// A detector small enough to check a training by: three modules, losses that are means over the
/// pictures and that use the generator, parameters of one and two dimensions, any float dtype.
class ToyDetector : public models::Detector {
 public:
  explicit ToyDetector(std::uint64_t seed);
  models::Losses losses(const torch::Tensor& images,
                        const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes,
                        const std::vector<models::Target>& targets,
                        torch::Generator generator) override;
  std::vector<models::Detection> detect(
      const torch::Tensor& images,
      const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes) override;
  std::vector<models::ModuleGroup> module_groups() const override;
  models::InputTransform input_transform() const override;
  std::vector<std::string> loss_names() const override { return {"loss_fit", "loss_box"}; }

  /// Multiplies the loss of the calls from this one on (1-based); 0: never.
  std::int64_t spoil_from = 0, spoil_to = 0;
  double spoil = 1;

 private:
  torch::nn::Linear backbone_{nullptr}, neck_{nullptr}, head_{nullptr};
  std::int64_t calls_ = 0;
};

/// A spec of a short toy training on drawn pictures; change what the test is about.
contract::RunSpec toy_spec(const std::string& optimizer, std::int64_t steps);

/// Commands for a trainer of a test: given by hand, answers kept.
class HandPort : public train::CommandPort {
 public:
  std::vector<train::QueuedCommand> take() override;
  void wait(int ms) override;
  void answer(const train::QueuedCommand& command, const contract::Reply& reply) override;
  void notify(const contract::Report&) override {}
  void set_status(const contract::StatusReport&) override {}

  std::deque<contract::CommandBody> coming;
  std::vector<contract::Reply> replies;
  std::function<void()> on_wait;
};

struct ToyRun {
  std::shared_ptr<ToyDetector> model;  // null where another was given
  std::shared_ptr<models::Detector> detector;
  std::shared_ptr<MemorySink> sink;
  std::unique_ptr<train::Trainer> trainer;
};
/// One trainer over a group (null: a world of one).
ToyRun toy_run(const contract::RunSpec& spec,
               std::shared_ptr<train::Group> group = nullptr,
               torch::ScalarType dtype = torch::kFloat32,
               const std::filesystem::path& folder = {},
               std::optional<train::ResumePoint> resume = std::nullopt,
               train::CommandPort* port = nullptr,
               std::shared_ptr<models::Detector> detector = nullptr,
               std::shared_ptr<MemorySink> sink = nullptr);

/// Runs `work(group)` on `ranks` threads that form one Gloo group. Rethrows the first exception.
void with_ranks(std::int64_t ranks, const std::function<void(std::shared_ptr<train::Group>)>& work);

std::vector<torch::Tensor> weights(const models::Detector& model);
/// Largest difference of two lists relative to each tensor's maximum.
double relative_difference(const std::vector<torch::Tensor>& a,
                           const std::vector<torch::Tensor>& b);
bool equal_bits(const std::vector<torch::Tensor>& a, const std::vector<torch::Tensor>& b);

}  // namespace batchscope::testing
