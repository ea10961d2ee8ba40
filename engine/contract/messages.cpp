#include "engine/contract/messages.h"

#include "engine/contract/error.h"
#include "engine/contract/run_spec.h"

#include <array>
#include <charconv>
#include <cmath>
#include <type_traits>

namespace batchscope::contract {
namespace {

template <class T>
struct Word {
  T value;
  const char* word;
};

constexpr std::array<Word<RunState>, 9> kStates = {{{RunState::kQueued, "queued"},
                                                    {RunState::kStarting, "starting"},
                                                    {RunState::kRunning, "running"},
                                                    {RunState::kPaused, "paused"},
                                                    {RunState::kStopping, "stopping"},
                                                    {RunState::kFinished, "finished"},
                                                    {RunState::kStopped, "stopped"},
                                                    {RunState::kFailed, "failed"},
                                                    {RunState::kLost, "lost"}}};
constexpr std::array<Word<StatePolicy>, 3> kStatePolicies = {{{StatePolicy::kCarry, "carry"},
                                                              {StatePolicy::kConvert, "convert"},
                                                              {StatePolicy::kReset, "reset"}}};
constexpr std::array<Word<LrMapping>, 3> kLrMappings = {{{LrMapping::kMatchUpdate, "match_update"},
                                                         {LrMapping::kTargetNow, "target_now"},
                                                         {LrMapping::kRewarmup, "rewarmup"}}};
constexpr std::array<Word<DecayMapping>, 3> kDecayMappings = {{{DecayMapping::kMatch, "match"},
                                                               {DecayMapping::kKeep, "keep"},
                                                               {DecayMapping::kTarget, "target"}}};
constexpr std::array<Word<StopMode>, 2> kStopModes = {
    {{StopMode::kSave, "save"}, {StopMode::kNow, "now"}}};
constexpr std::array<Word<ShadowAction>, 2> kShadowActions = {
    {{ShadowAction::kAdd, "add"}, {ShadowAction::kRemove, "remove"}}};
constexpr std::array<const char*, 5> kOptimizers = {"sgd", "adamw", "lars", "lamb", "pmd_lamb"};
constexpr std::array<const char*, 12> kCommands = {"hello",
                                                   "status",
                                                   "pause",
                                                   "resume",
                                                   "stop",
                                                   "checkpoint",
                                                   "undo",
                                                   "lr",
                                                   "accumulation",
                                                   "end",
                                                   "optimizer",
                                                   "shadow"};
static_assert(kCommands.size() == std::variant_size_v<CommandBody>);

template <class T, std::size_t N>
std::string word_of(const std::array<Word<T>, N>& words, T value) {
  for (const auto& entry : words) {
    if (entry.value == value) {
      return entry.word;
    }
  }
  throw SpecError("", "an enumerator of the protocol has no word");
}

template <class T, std::size_t N>
T value_of(const std::array<Word<T>, N>& words, const std::string& word, const std::string& field) {
  std::string known;
  for (const auto& entry : words) {
    if (word == entry.word) {
      return entry.value;
    }
    known += (known.empty() ? "" : ", ") + std::string(entry.word);
  }
  throw SpecError(field, field + " is \"" + word + "\"; expected one of " + known);
}

template <std::size_t N>
std::string listed(const std::array<const char*, N>& words) {
  std::string out;
  for (const char* word : words) {
    out += (out.empty() ? "" : ", ") + std::string(word);
  }
  return out;
}

bool flag_of(const std::string& text, const std::string& field) {
  if (text == "on" || text == "true") {
    return true;
  }
  if (text == "off" || text == "false") {
    return false;
  }
  throw SpecError(field, field + " is \"" + text + "\"; expected on, off, true or false");
}

template <class T>
T number_of(const std::string& text, const std::string& field) {
  T value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc() || stop != end) {
    throw SpecError(field,
                    field + " is \"" + text + "\"; expected " +
                        (std::is_integral_v<T> ? "an integer" : "a number"));
  }
  return value;
}

template <class T>
std::string text_of(T value) {
  std::array<char, 40> buffer{};
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return std::string(buffer.data(), end);
}

/// Takes arguments out of a map one by one, so that what is left over is unknown.
class Args {
 public:
  Args(const std::string& command, const std::map<std::string, std::string>& args)
      : command_(command), left_(args) {}

  std::optional<std::string> take(const std::string& name) {
    const auto found = left_.find(name);
    if (found == left_.end()) {
      return std::nullopt;
    }
    std::string value = found->second;
    left_.erase(found);
    return value;
  }
  std::string need(const std::string& name) {
    auto value = take(name);
    if (!value) {
      throw SpecError(name, command_ + " needs the argument \"" + name + "\"");
    }
    return *value;
  }
  std::map<std::string, std::string> take_dotted() {
    std::map<std::string, std::string> dotted;
    for (auto it = left_.begin(); it != left_.end();) {
      if (it->first.find('.') == std::string::npos) {
        ++it;
      } else {
        dotted.insert(left_.extract(it++));
      }
    }
    return dotted;
  }
  void finish() const {
    if (!left_.empty()) {
      const std::string& name = left_.begin()->first;
      throw SpecError(name, command_ + " has no argument \"" + name + "\"");
    }
  }

 private:
  std::string command_;
  std::map<std::string, std::string> left_;
};

OptimizerCommand optimizer_from(Args& args) {
  OptimizerCommand out;
  out.name = args.take("name");
  if (const auto text = args.take("agvm")) {
    out.agvm = flag_of(*text, "agvm");
  }
  if (const auto text = args.take("lr")) {
    out.lr = number_of<double>(*text, "lr");
  }
  if (const auto text = args.take("state")) {
    out.state = value_of(kStatePolicies, *text, "state");
  }
  if (const auto text = args.take("lr_mapping")) {
    out.lr_mapping = value_of(kLrMappings, *text, "lr_mapping");
  }
  if (const auto text = args.take("decay_mapping")) {
    out.decay_mapping = value_of(kDecayMappings, *text, "decay_mapping");
  }
  if (const auto text = args.take("dry_run")) {
    out.dry_run = flag_of(*text, "dry_run");
  }
  out.set = args.take_dotted();
  return out;
}

ShadowCommand shadow_from(Args& args) {
  ShadowCommand out;
  out.action = value_of(kShadowActions, args.need("action"), "action");
  out.name = args.take("name").value_or("");
  out.label = args.take("label").value_or("");
  out.set = args.take_dotted();
  if (auto lr = args.take("lr")) {
    out.set["optim.lr"] = *lr;
  }
  return out;
}

CommandBody body_from(const std::string& name, Args& args) {
  if (name == "hello") {
    HelloCommand hello;
    if (const auto text = args.take("protocol")) {
      hello.protocol = number_of<int>(*text, "protocol");
    }
    hello.client = args.take("client").value_or("");
    return hello;
  }
  if (name == "status") {
    return StatusCommand{};
  }
  if (name == "pause") {
    return PauseCommand{};
  }
  if (name == "resume") {
    return ResumeCommand{};
  }
  if (name == "stop") {
    return StopCommand{value_of(kStopModes, args.take("mode").value_or("save"), "mode")};
  }
  if (name == "checkpoint") {
    return CheckpointCommand{};
  }
  if (name == "undo") {
    return UndoCommand{};
  }
  if (name == "lr") {
    return LrCommand{number_of<double>(args.need("value"), "value")};
  }
  if (name == "accumulation") {
    return AccumulationCommand{number_of<std::int64_t>(args.need("value"), "value")};
  }
  if (name == "end") {
    return EndCommand{number_of<std::int64_t>(args.need("step"), "step")};
  }
  if (name == "optimizer") {
    return optimizer_from(args);
  }
  if (name == "shadow") {
    return shadow_from(args);
  }
  throw SpecError("command",
                  "unknown command \"" + name + "\"; expected one of " + listed(kCommands));
}

void check_lr(double value, const std::string& field) {
  if (!std::isfinite(value) || value <= 0) {
    throw SpecError(field, field + " is " + text_of(value) + "; expected a finite number above 0");
  }
}

void check_at_least_one(std::int64_t value, const std::string& field) {
  if (value < 1) {
    throw SpecError(field, field + " is " + text_of(value) + "; expected 1 or more");
  }
}

void check_optimizer(const OptimizerCommand& command) {
  if (command.name) {
    bool known = false;
    for (const char* word : kOptimizers) {
      known = known || *command.name == word;
    }
    if (!known) {
      throw SpecError(
          "name",
          "unknown optimizer \"" + *command.name + "\"; expected one of " + listed(kOptimizers));
    }
  }
  if (command.lr) {
    check_lr(*command.lr, "lr");
  }
  // One way to say each thing: what has a member of its own is not taken as a dotted key too.
  static const std::map<std::string, std::string> kOwnMember = {
      {"optim.name", "name"}, {"optim.lr", "lr"}, {"optim.agvm.enabled", "agvm"}};
  for (const auto& [key, value] : command.set) {
    if (key.rfind("optim.", 0) != 0) {
      throw SpecError(key, "optimizer cannot set \"" + key + "\"; expected a key under optim.");
    }
    if (key == "optim.shadow") {
      throw SpecError(key, "optimizer cannot set optim.shadow; the command shadow does");
    }
    if (const auto own = kOwnMember.find(key); own != kOwnMember.end()) {
      throw SpecError(key, "optimizer sets " + key + " by its argument \"" + own->second + "\"");
    }
  }
}

void check_shadow(const ShadowCommand& command) {
  if (command.action == ShadowAction::kAdd) {
    if (command.name.empty()) {
      throw SpecError("name", "shadow add needs the argument \"name\"");
    }
    make_shadow(command.name, command.label, command.set);
    return;
  }
  if (command.label.empty()) {
    throw SpecError("label", "shadow remove needs the argument \"label\"");
  }
  if (!command.name.empty() || !command.set.empty()) {
    throw SpecError("name", "shadow remove takes the argument \"label\" alone");
  }
}

}  // namespace

void check(const CommandBody& body) {
  if (const auto* lr = std::get_if<LrCommand>(&body)) {
    check_lr(lr->value, "value");
  } else if (const auto* accumulation = std::get_if<AccumulationCommand>(&body)) {
    check_at_least_one(accumulation->value, "value");
  } else if (const auto* end = std::get_if<EndCommand>(&body)) {
    check_at_least_one(end->step, "step");
  } else if (const auto* optimizer = std::get_if<OptimizerCommand>(&body)) {
    check_optimizer(*optimizer);
  } else if (const auto* shadow = std::get_if<ShadowCommand>(&body)) {
    check_shadow(*shadow);
  }
}

std::string command_name(const CommandBody& body) {
  return kCommands.at(body.index());
}

std::string to_string(RunState state) {
  return word_of(kStates, state);
}
std::string to_string(StatePolicy policy) {
  return word_of(kStatePolicies, policy);
}
std::string to_string(LrMapping mapping) {
  return word_of(kLrMappings, mapping);
}
std::string to_string(DecayMapping mapping) {
  return word_of(kDecayMappings, mapping);
}
std::string to_string(StopMode mode) {
  return word_of(kStopModes, mode);
}
std::string to_string(ShadowAction action) {
  return word_of(kShadowActions, action);
}
RunState run_state_from(const std::string& word) {
  return value_of(kStates, word, "state");
}

CommandBody make_command(const std::string& name, const std::map<std::string, std::string>& args) {
  Args taken(name, args);
  CommandBody body = body_from(name, taken);
  taken.finish();
  check(body);
  return body;
}

std::map<std::string, std::string> command_args(const CommandBody& body) {
  std::map<std::string, std::string> args;
  if (const auto* hello = std::get_if<HelloCommand>(&body)) {
    args = {{"protocol", text_of(hello->protocol)}, {"client", hello->client}};
  } else if (const auto* stop = std::get_if<StopCommand>(&body)) {
    args = {{"mode", to_string(stop->mode)}};
  } else if (const auto* lr = std::get_if<LrCommand>(&body)) {
    args = {{"value", text_of(lr->value)}};
  } else if (const auto* accumulation = std::get_if<AccumulationCommand>(&body)) {
    args = {{"value", text_of(accumulation->value)}};
  } else if (const auto* end = std::get_if<EndCommand>(&body)) {
    args = {{"step", text_of(end->step)}};
  } else if (const auto* optimizer = std::get_if<OptimizerCommand>(&body)) {
    args = optimizer->set;
    args["state"] = to_string(optimizer->state);
    args["lr_mapping"] = to_string(optimizer->lr_mapping);
    args["decay_mapping"] = to_string(optimizer->decay_mapping);
    if (optimizer->name) {
      args["name"] = *optimizer->name;
    }
    if (optimizer->agvm) {
      args["agvm"] = *optimizer->agvm ? "on" : "off";
    }
    if (optimizer->lr) {
      args["lr"] = text_of(*optimizer->lr);
    }
    if (optimizer->dry_run) {
      args["dry_run"] = "true";
    }
  } else if (const auto* shadow = std::get_if<ShadowCommand>(&body)) {
    args = shadow->set;
    args["action"] = to_string(shadow->action);
    if (!shadow->name.empty()) {
      args["name"] = shadow->name;
    }
    if (!shadow->label.empty()) {
      args["label"] = shadow->label;
    }
  }
  return args;
}

}  // namespace batchscope::contract
