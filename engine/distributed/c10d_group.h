#pragma once

#include "engine/distributed/activity.h"
#include "engine/distributed/group.h"

#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace batchscope::train {

/// A group of several processes over c10d. Only engine/distributed includes this header.
class C10dGroup : public Group {
 public:
  struct Options {
    c10::intrusive_ptr<c10d::Store> store;  // of this group alone
    int rank = 0, size = 1;
    torch::Device device = torch::kCPU;
    bool one_machine = true;  // Gloo stays on the loopback interface
    std::chrono::milliseconds timeout{60000};
  };
  explicit C10dGroup(Options options);

  std::int64_t rank() const override { return options_.rank; }
  std::int64_t size() const override { return options_.size; }
  void all_reduce_sum(torch::Tensor& tensor) override;
  void broadcast(torch::Tensor& tensor, std::int64_t root) override;
  std::string broadcast_bytes(const std::string& bytes, std::int64_t root) override;
  std::vector<std::string> all_gather_bytes(const std::string& bytes) override;
  void barrier() override;
  void set_timeout(std::chrono::milliseconds timeout) override;
  std::shared_ptr<Group> subgroup(std::int64_t first, std::int64_t count) override;
  std::function<std::vector<RankActivity>()> activities() override;

  const c10::intrusive_ptr<c10d::ProcessGroup>& process_group() const { return process_group_; }
  /// A group of some of these ranks (ascending, this one among them). All of them call it with the
  /// same name; a name that is known gives the same group again.
  std::shared_ptr<C10dGroup> subgroup(const std::string& name,
                                      const std::vector<std::int64_t>& ranks);
  /// Runs a communication; whatever it throws becomes a PeerError that says what was going on.
  /// Meanwhile the rank is in `activity`.
  void guarded(const std::string& what,
               Activity activity,
               const std::function<void()>& communicate) const;
  /// The PeerError for a communication that failed with `error`.
  [[noreturn]] void lost(const std::string& what, const std::exception& error) const;

 private:
  Options options_;
  c10::intrusive_ptr<c10d::ProcessGroup> process_group_;
  std::map<std::string, std::shared_ptr<C10dGroup>> subgroups_;
};

/// Adds the NCCL backend for CUDA tensors (nccl_group.cpp), or throws contract::Error in a build
/// without CUDA (no_cuda.cpp).
void add_nccl(c10d::ProcessGroup& group, const C10dGroup::Options& options);

}  // namespace batchscope::train
