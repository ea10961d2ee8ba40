#include "tests/support/side_by_side.h"

#include <array>
#include <atomic>
#include <cstdio>
#include <mutex>
#include <sstream>
#include <sys/wait.h>
#include <thread>
#include <vector>

namespace batchscope::test {
namespace {

std::string shell_word(const std::string& word) {
  std::string text = "'";
  for (const char c : word) {
    text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  }
  return text + "'";
}

/// The exit status, or 1 for a process that did not end by itself.
int run(const std::string& command, std::string& output) {
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) {
    output = "cannot start " + command + "\n";
    return 1;
  }
  std::array<char, 4096> bytes{};
  for (std::size_t count = 0; (count = fread(bytes.data(), 1, bytes.size(), pipe)) > 0;) {
    output.append(bytes.data(), count);
  }
  const int status = pclose(pipe);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

}  // namespace

int run_side_by_side(const std::string& program, const std::string& test, int at_once) {
  const std::string base = shell_word(program) + " " + shell_word(test) + " ";
  std::string list;
  if (run(base + "-functions", list) != 0) {
    std::fputs(list.c_str(), stderr);
    return 1;
  }
  std::vector<std::string> functions;
  std::istringstream lines(list);
  for (std::string line; std::getline(lines, line);) {
    functions.push_back(line.substr(0, line.find('(')));
  }
  std::atomic<std::size_t> next = 0;
  std::atomic<int> failed = 0;
  std::mutex printing;
  const auto work = [&] {
    for (std::size_t i = next++; i < functions.size(); i = next++) {
      std::string output;
      const int code = run(base + shell_word(functions[i]), output);
      failed += code == 0 ? 0 : 1;
      const std::scoped_lock lock(printing);
      std::fputs(output.c_str(), stdout);
      if (code != 0) {
        std::printf("FAIL!  : %s ended with %d\n", functions[i].c_str(), code);
      }
    }
  };
  std::vector<std::jthread> workers;
  for (int i = 0; i < at_once; ++i) {
    workers.emplace_back(work);
  }
  workers.clear();
  return functions.empty() || failed > 0 ? 1 : 0;
}

}  // namespace batchscope::test
