#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace batchscope::test {

/// How one spawned rank ended.
struct RankResult {
  int code = -1;       // exit code; -1: killed by a signal
  int signal = 0;      // that killed it; SIGKILL also when it outlived the limit
  std::string output;  // its standard output and error
};

struct SpawnOptions {
  std::string name;  // what rank_case() gives in the rank
  int world = 1;
  int start = -1;                                  // ranks that are really started; -1: all
  std::map<std::string, std::string> environment;  // added
  std::chrono::seconds limit{60};                  // then all are killed
};

/// Starts this test program again as `world` ranks that meet on the loopback interface, and waits
/// for them all.
std::vector<RankResult> spawn_ranks(const SpawnOptions& options);
/// In a spawned rank the name of its case, else empty. A test's main() looks first:
///   const auto name = rank_case(); return name.empty() ? QTest::qExec(…) : run_rank(name);
std::string rank_case();

}  // namespace batchscope::test
