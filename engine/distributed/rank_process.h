#pragma once

#include "engine/distributed/rank_board.h"
#include "engine/distributed/supervisor.h"

#include <sys/types.h>

namespace batchscope::train {

/// A socket that listens on a free port of the loopback interface, for rank 0's store: since it is
/// open before any rank starts, no port can be taken by somebody else in between.
class StoreSocket {
 public:
  StoreSocket();  // throws contract::Error
  ~StoreSocket();
  StoreSocket(const StoreSocket&) = delete;
  StoreSocket& operator=(const StoreSocket&) = delete;
  int fd() const { return fd_; }
  int port() const { return port_; }

 private:
  int fd_ = -1, port_ = 0;
};

/// Starts one rank and returns its pid. Throws contract::Error.
pid_t start_rank(const SupervisorOptions& options,
                 const std::vector<std::string>& arguments,
                 std::int64_t rank,
                 const StoreSocket& store,
                 const RankBoard& board);

}  // namespace batchscope::train
