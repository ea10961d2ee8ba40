#pragma once

#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace batchscope::test {

/// A child process; its end of the pipe takes numbers. Killed by the destructor.
class Child {
 public:
  explicit Child(const std::function<void(int)>& body) {
    int ends[2];
    if (::pipe(ends) != 0) {
      ::perror("pipe");
      return;
    }
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(ends[0]);
      try {
        body(ends[1]);
      } catch (const std::exception& error) {
        fprintf(stderr, "child: %s\n", error.what());
        ::_exit(1);
      }
      ::_exit(0);
    }
    ::close(ends[1]);
    read_end_ = ends[0];
  }
  ~Child() {
    end(SIGKILL);
    ::close(read_end_);
  }
  /// Ends it by a signal (0: waits for its own end); returns its exit status.
  int end(int signal) {
    if (pid_ > 0) {
      if (signal != 0) {
        ::kill(pid_, signal);
      }
      ::waitpid(pid_, &status_, 0);
      pid_ = -1;
    }
    return status_;
  }
  /// Waits for the next number; false at the child's end.
  bool next(std::int64_t& number) {
    return ::read(read_end_, &number, sizeof number) == sizeof number;
  }
  /// The last number the child said, after its end.
  std::int64_t last() {
    std::int64_t number = 0, newest = 0;
    while (next(number)) {
      newest = number;
    }
    return newest;
  }

 private:
  pid_t pid_ = -1;
  int read_end_ = -1, status_ = 0;
};

inline void tell(int pipe_end, std::int64_t number) {
  if (::write(pipe_end, &number, sizeof number) != sizeof number) {
    ::_exit(2);
  }
}

}  // namespace batchscope::test
