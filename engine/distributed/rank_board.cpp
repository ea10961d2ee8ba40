#include "engine/distributed/rank_board.h"

#include "engine/contract/error.h"

#include <cerrno>
#include <cstring>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace batchscope::train {
namespace {

[[noreturn]] void fail() {
  throw contract::Error(contract::ExitCode::kPeer,
                        std::string("no memory to share with the ranks: ") + std::strerror(errno));
}

}  // namespace

RankBoard::RankBoard(std::int64_t ranks)
    : fd_(memfd_create("batchscope-ranks", MFD_CLOEXEC)), ranks_(ranks) {
  // Zeros are slots of which nothing was said.
  if (fd_ < 0 || ftruncate(fd_, static_cast<off_t>(sizeof(ActivitySlot)) * ranks) != 0) {
    fail();
  }
  map();
}

RankBoard::RankBoard(int fd, std::int64_t ranks) : fd_(fd), ranks_(ranks) {
  map();
}

void RankBoard::map() {
  void* memory = mmap(nullptr,
                      sizeof(ActivitySlot) * static_cast<std::size_t>(ranks_),
                      PROT_READ | PROT_WRITE,
                      MAP_SHARED,
                      fd_,
                      0);
  // NOLINTNEXTLINE(performance-no-int-to-ptr): inside of the system's macro
  if (memory == MAP_FAILED) {
    fail();
  }
  slots_ = static_cast<ActivitySlot*>(memory);
}

RankBoard::~RankBoard() {
  munmap(slots_, sizeof(ActivitySlot) * static_cast<std::size_t>(ranks_));
  close(fd_);
}

std::vector<RankActivity> RankBoard::read() const {
  std::vector<RankActivity> all;
  for (std::int64_t rank = 0; rank < ranks_; ++rank) {
    all.push_back(read_activity(slots_[rank], rank));
  }
  return all;
}

}  // namespace batchscope::train
