#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace batchscope::contract {

/// Version of the line protocol (PROTOCOL.md). Both sides say theirs in `hello`; they must be equal
/// for control.
inline constexpr int kProtocolVersion = 1;
/// Longest line that is accepted, newline included, in bytes.
inline constexpr std::size_t kMaxLineBytes = 1 << 20;

enum class StatePolicy { kCarry, kConvert, kReset };
enum class LrMapping { kMatchUpdate, kTargetNow, kRewarmup };
enum class DecayMapping { kMatch, kKeep, kTarget };
enum class StopMode { kSave, kNow };
enum class ShadowAction { kAdd, kRemove };

// The commands of the protocol. Scripted events of a spec ([[events]]) are the same values.
struct HelloCommand {
  int protocol = kProtocolVersion;
  std::string client;
  bool operator==(const HelloCommand&) const = default;
};
struct StatusCommand {
  bool operator==(const StatusCommand&) const = default;
};
struct PauseCommand {
  bool operator==(const PauseCommand&) const = default;
};
struct ResumeCommand {
  bool operator==(const ResumeCommand&) const = default;
};
struct StopCommand {
  StopMode mode = StopMode::kSave;
  bool operator==(const StopCommand&) const = default;
};
struct CheckpointCommand {
  bool operator==(const CheckpointCommand&) const = default;
};
struct UndoCommand {
  bool operator==(const UndoCommand&) const = default;
};
/// New base learning rate (> 0), the value before schedule and AGVM factors.
struct LrCommand {
  double value = 0;
  bool operator==(const LrCommand&) const = default;
};
/// New number of micro-batches per rank and step (>= 1).
struct AccumulationCommand {
  std::int64_t value = 1;
  bool operator==(const AccumulationCommand&) const = default;
};
/// New last step of the run (> the present step).
struct EndCommand {
  std::int64_t step = 0;
  bool operator==(const EndCommand&) const = default;
};
/// Switch of the optimizer and its modifiers. Members that are absent stay as they are.
struct OptimizerCommand {
  std::optional<std::string> name;  // "sgd", "adamw", "lars", "lamb", "pmd_lamb"
  std::optional<bool> agvm;
  std::optional<double> lr;
  StatePolicy state = StatePolicy::kCarry;
  LrMapping lr_mapping = LrMapping::kMatchUpdate;
  DecayMapping decay_mapping = DecayMapping::kMatch;
  std::map<std::string, std::string> set;  // "optim.pmd.period" -> "100", as --set takes them
  bool dry_run = false;
  bool operator==(const OptimizerCommand&) const = default;
};

/// Adds a shadow optimizer (without history) or removes one; the training itself is not touched.
struct ShadowCommand {
  ShadowAction action = ShadowAction::kAdd;
  std::string name;                        // add: the method
  std::string label;                       // add: empty for the method's name; remove: which
  std::map<std::string, std::string> set;  // add: "optim.lr" -> "0.01", as --set takes them
  bool operator==(const ShadowCommand&) const = default;
};

using CommandBody = std::variant<HelloCommand,
                                 StatusCommand,
                                 PauseCommand,
                                 ResumeCommand,
                                 StopCommand,
                                 CheckpointCommand,
                                 UndoCommand,
                                 LrCommand,
                                 AccumulationCommand,
                                 EndCommand,
                                 OptimizerCommand,
                                 ShadowCommand>;

/// One line from a client. `id` is chosen by the client and echoed in the one reply.
struct Command {
  std::int64_t id = 0;
  CommandBody body;
  bool operator==(const Command&) const = default;
};

/// State of a run as the engine reports it; the words are the protocol's and the run file's.
enum class RunState {
  kQueued,
  kStarting,
  kRunning,
  kPaused,
  kStopping,
  kFinished,
  kStopped,
  kFailed,
  kLost
};

/// Snapshot of a running training, the payload of a `status` or `hello` reply and of a `state`
/// notice.
struct StatusReport {
  std::string run_id;
  RunState state = RunState::kStarting;
  std::int64_t step = 0;           // updates completed
  std::int64_t steps = 0;          // planned end
  std::int64_t images = 0;         // pictures consumed
  std::int64_t committed_seq = 0;  // newest sequence number that readers can see
  std::string optimizer;
  bool agvm = false;
  double lr = 0;         // base learning rate in force
  double lr_in_use = 0;  // what warm-up and decay make of it for the next update
  std::int64_t micro = 0, accumulation = 0, ranks = 0;
  std::string phase;    // "loading data", "training", "evaluating", ...
  std::string host;     // of rank 0; empty: an engine that does not say it
  std::string trouble;  // one sentence: what hinders the run now and is not over; empty: nothing
  bool operator==(const StatusReport&) const = default;
};

/// The one reply to a command: applied at step `step`, or refused with a reason.
struct Reply {
  std::int64_t id = 0;
  bool ok = false;
  std::int64_t step = -1;              // update after which it took effect; -1: has no step
  std::string error;                   // one sentence when !ok
  std::string field;                   // the argument at fault, or empty
  int protocol = 0;                    // hello only
  std::string engine;                  // hello only: engine version
  std::optional<StatusReport> status;  // hello and status
  std::string detail;  // free text for a person (undo target, dry-run table, file written)
  bool operator==(const Reply&) const = default;
};

/// "Rows up to sequence number `seq` are committed to the run file."
struct CommittedNotice {
  std::int64_t seq = 0;
  bool operator==(const CommittedNotice&) const = default;
};
/// The run's state or phase changed.
struct StateNotice {
  StatusReport status;
  bool operator==(const StateNotice&) const = default;
};
/// A command was taken and waits for the next step boundary.
struct PendingNotice {
  std::int64_t id = 0;
  std::string command;
  bool operator==(const PendingNotice&) const = default;
};

using Report = std::variant<Reply, CommittedNotice, StateNotice, PendingNotice>;

/// One line without its newline.
std::string encode(const Command& command);
std::string encode(const Report& report);
/// Reads one line. Throws SpecError (field = the member at fault) on anything that is not a valid
/// command; a command with a readable id keeps it in `id_out` (else -1), so that the refusal can
/// carry it.
Command decode_command(const std::string& line, std::int64_t* id_out = nullptr);
Report decode_report(const std::string& line);

/// The ranges that hold for a command wherever it comes from: lr finite and above 0, accumulation
/// and end at least 1, a known optimizer, `set` keys under "optim." that have no member of their
/// own, a shadow that can be made. Throws SpecError naming the member. decode_command and
/// make_command have done it.
void check(const CommandBody& body);

/// The protocol's word for a command ("optimizer", "lr", ...), a state, or an enumerator; and back.
std::string command_name(const CommandBody& body);
std::string to_string(RunState state);
std::string to_string(StatePolicy policy);
std::string to_string(LrMapping mapping);
std::string to_string(DecayMapping mapping);
std::string to_string(StopMode mode);
std::string to_string(ShadowAction action);
RunState run_state_from(const std::string& word);

/// Builds a command from its name and textual arguments, as a spec's [[events]] and the CLI give
/// them
/// (`optimizer`, {{"name","lamb"},{"lr_mapping","match_update"}}). Throws SpecError naming the
/// argument at fault.
CommandBody make_command(const std::string& name, const std::map<std::string, std::string>& args);
/// The arguments of a command in the same textual form (round-trips through make_command).
std::map<std::string, std::string> command_args(const CommandBody& body);

}  // namespace batchscope::contract
