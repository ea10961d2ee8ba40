#pragma once

#include <stdexcept>
#include <string>

namespace batchscope::contract {

/// Exit codes of both programs (a promise: scripts depend on them).
enum class ExitCode : int {
  kDone = 0,
  kUsage = 2,      // bad command line or spec
  kData = 3,       // bad data or weights
  kStorage = 4,    // a run file could not be read or written
  kPeer = 5,       // another rank, or the engine, was lost
  kNonFinite = 6,  // the guard stopped a diverged run
  kInterrupted = 130,
};

/// Base of every error that reaches a user. what() is one sentence: what, where, expected, found.
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& sentence) : std::runtime_error(sentence), code_(code) {}
  ExitCode code() const noexcept { return code_; }

 private:
  ExitCode code_;
};

/// A spec, a command line or a command's argument is wrong. field() is the dotted key ("optim.lr"),
/// empty if none; line() and column() are 1-based places in the TOML text, 0 when the value did not
/// come from a file.
class SpecError : public Error {
 public:
  SpecError(std::string field, const std::string& sentence, int line = 0, int column = 0)
      : Error(ExitCode::kUsage, sentence), field_(std::move(field)), line_(line), column_(column) {}
  const std::string& field() const noexcept { return field_; }
  int line() const noexcept { return line_; }
  int column() const noexcept { return column_; }

 private:
  std::string field_;
  int line_;
  int column_;
};

/// A picture, an annotation file, a weight file or a checkpoint is missing, damaged or
/// inconsistent.
class DataError : public Error {
 public:
  explicit DataError(const std::string& sentence) : Error(ExitCode::kData, sentence) {}
};

/// A run file, the catalogue or the library folder could not be read or written.
class StorageError : public Error {
 public:
  explicit StorageError(const std::string& sentence) : Error(ExitCode::kStorage, sentence) {}
};

/// Another rank or the engine does not answer.
class PeerError : public Error {
 public:
  explicit PeerError(const std::string& sentence) : Error(ExitCode::kPeer, sentence) {}
};

/// The guard ended a run that diverged.
class NonFiniteError : public Error {
 public:
  explicit NonFiniteError(const std::string& sentence) : Error(ExitCode::kNonFinite, sentence) {}
};

}  // namespace batchscope::contract
