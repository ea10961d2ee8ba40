#pragma once

#include <string>

namespace batchscope::test {

/// Runs the functions of a test of this program (`program` as it was started) in processes of their
/// own, so many at once: for tests that wait more than they work. Prints what each printed; 0 if
/// all passed.
int run_side_by_side(const std::string& program, const std::string& test, int at_once);

}  // namespace batchscope::test
