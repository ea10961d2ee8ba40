#include "tests/support/test_program.h"

#include "app/leave.h"
#include "tests/support/side_by_side.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <malloc.h>
#include <map>

namespace batchscope::test {
namespace {

std::map<std::string, TestMain>& tests() {
  static std::map<std::string, TestMain> all;
  return all;
}

std::string& name_of_running() {
  static std::string name;
  return name;
}

}  // namespace

bool add_test(const char* file, TestMain main) {
  const char* slash = std::strrchr(file, '/');
  const std::string name = slash == nullptr ? file : slash + 1;
  return tests().emplace(name.substr(0, name.find('.')), main).second;
}

const std::string& running_test() {
  return name_of_running();
}

}  // namespace batchscope::test

int main(int argc, char** argv) {
  using namespace batchscope::test;
  if (argc == 4 && std::strcmp(argv[1], "--side-by-side") == 0) {
    return run_side_by_side(argv[0], argv[3], std::atoi(argv[2]));
  }
  const auto found = argc > 1 ? tests().find(argv[1]) : tests().end();
  if (found == tests().end()) {
    std::fprintf(
        stderr, "usage: %s [--side-by-side N] TEST [options of Qt Test]; its tests:\n", argv[0]);
    for (const auto& [name, main] : tests()) {
      std::fprintf(stderr, "  %s\n", name.c_str());
    }
    return 2;
  }
  // As the engine (app/allocator.h), and gradients of 100 MB, too: page faults were a third of what
  // the ranks' tests cost, and a tenth of the large detectors'.
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  name_of_running() = found->first;
  argv[1] = argv[0];
  batchscope::leave(found->second(argc - 1, argv + 1));
}
