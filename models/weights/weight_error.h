#pragma once

#include <stdexcept>
#include <string>

namespace batchscope::models {

/// A weight file is missing, damaged or hostile, or does not fit. what() is one sentence that names
/// the file and what is wrong.
class WeightError : public std::runtime_error {
 public:
  explicit WeightError(const std::string& sentence) : std::runtime_error(sentence) {}
  /// "Tensor file '`origin`' `why`."
  WeightError(const std::string& origin, const std::string& why);
  /// The sentence without its subject, for who calls the file something else; empty if it has none.
  const std::string& why() const noexcept { return why_; }

 private:
  std::string why_;
};

/// A file could not be written. what() is one sentence with the system's reason.
class DiskError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws WeightError(origin, why).
[[noreturn]] void refuse_file(const std::string& origin, const std::string& why);

/// Text from a file without control characters: nothing in it moves a terminal's cursor.
std::string printable(std::string text);

/// A name from a file as a message may show it: quoted, short, printable.
std::string shown(const std::string& name);

}  // namespace batchscope::models
