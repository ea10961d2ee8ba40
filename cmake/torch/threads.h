#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>

// The parts of OpenMP that are called by name, of the one run time in the process: LibTorch's
// libgomp. What a compiler makes of `#pragma omp parallel` or at::parallel_for is its own matter:
// clang would bring a second run time with threads of its own. GOMP_parallel is how GCC's code
// calls libgomp (GOMP_4.0 of its stable ABI).
extern "C" {
int omp_get_max_threads(void) noexcept;
int omp_get_num_threads(void) noexcept;
int omp_get_thread_num(void) noexcept;
int omp_in_parallel(void) noexcept;
void omp_set_num_threads(int) noexcept;
void GOMP_parallel(void (*)(void*), void*, unsigned, unsigned) noexcept;
}

namespace batchscope::threads {

/// Calls body() on `count` threads of LibTorch's team at once, this one among them, and returns
/// when all have. Within, omp_get_thread_num() and omp_get_num_threads() tell which and of how many
/// (fewer than asked where the system has no more). The body must not throw.
template <typename F>
void team(int count, const F& body) {
  const auto call = [](void* data) { (*static_cast<const F*>(data))(); };
  GOMP_parallel(call, const_cast<F*>(&body), static_cast<unsigned>(count), 0);
}

/// at::parallel_for(0, count, grain, f) on at most `most` threads (give at::get_num_threads()):
/// f(first, last) on stretches in a row, at least `grain` long but for the last; serial for little
/// work and inside of a parallel region. The first exception of f is thrown here.
template <typename F>
void parallel_for(int most, std::int64_t count, std::int64_t grain, const F& f) {
  if (count <= 0) {
    return;
  }
  const std::int64_t shares = (count + grain - 1) / std::max<std::int64_t>(grain, 1);
  const int wanted = static_cast<int>(std::min<std::int64_t>(most, shares));
  if (wanted <= 1 || omp_in_parallel() != 0) {
    f(std::int64_t{0}, count);
    return;
  }
  std::atomic_flag failed = ATOMIC_FLAG_INIT;
  std::exception_ptr error;
  team(wanted, [&] {
    const std::int64_t threads = omp_get_num_threads(), each = (count + threads - 1) / threads;
    const std::int64_t first = omp_get_thread_num() * each, last = std::min(count, first + each);
    try {
      if (first < last) {
        f(first, last);
      }
    } catch (...) {
      if (!failed.test_and_set()) {
        error = std::current_exception();
      }
    }
  });
  if (error) {
    std::rethrow_exception(error);
  }
}

}  // namespace batchscope::threads
