#pragma once

#include "engine/contract/messages.h"

#include <functional>
#include <memory>
#include <string>

namespace batchscope::train {

/// A blocking client, for the command line and tests.
class ControlClient {
 public:
  /// Throws contract::PeerError if nobody listens.
  explicit ControlClient(const std::string& socket_path);
  ~ControlClient();
  ControlClient(ControlClient&&) noexcept;
  /// Sends and waits for the reply with the same id; notices that come meanwhile go to `on_notice`.
  /// Throws contract::PeerError on a closed connection or after `timeout_s` ("no answer to pause
  /// within 60 s").
  contract::Reply call(contract::CommandBody body,
                       double timeout_s,
                       const std::function<void(const contract::Report&)>& on_notice = nullptr);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace batchscope::train
