#pragma once

#include "engine/distributed/launch_env.h"

#include <memory>
#include <optional>
#include <string>

namespace batchscope::train {

/// Words that outlive the ranks of a job: in the store of torchrun's agent, which is there before
/// the first attempt and after it was lost. Elsewhere nothing is kept.
class JobNotes {
 public:
  /// Throws contract::PeerError when the agent does not answer.
  explicit JobNotes(const LaunchEnv& env);
  ~JobNotes();
  std::optional<std::string> find(const std::string& key) const;
  void keep(const std::string& key, const std::string& words);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace batchscope::train
