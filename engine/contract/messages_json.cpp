// The JSON side of the line protocol; PROTOCOL.md is its contract.
#include "engine/contract/error.h"
#include "engine/contract/messages.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <limits>
#include <set>
#include <type_traits>
#include <utility>

namespace batchscope::contract {
namespace {

using Json = nlohmann::json;

[[noreturn]] void refuse(const std::string& field, const std::string& sentence) {
  throw SpecError(field, sentence);
}

/// Members of one JSON object, taken one by one with their types checked.
class Members {
 public:
  Members(const Json& object, std::string prefix) : object_(object), prefix_(std::move(prefix)) {}

  bool has(const std::string& name) {
    seen_.insert(name);
    return object_.contains(name);
  }
  template <class T>
  T get(const std::string& name) {
    if (!has(name)) {
      refuse(prefix_ + name, "the member \"" + prefix_ + name + "\" is missing");
    }
    return convert<T>(object_.at(name), prefix_ + name);
  }
  template <class T>
  T get(const std::string& name, T fallback) {
    return has(name) ? get<T>(name) : fallback;
  }
  const Json& raw(const std::string& name) const { return object_.at(name); }
  /// Refuses the first member that nobody asked for.
  void finish(const std::string& what) const {
    for (const auto& item : object_.items()) {
      if (seen_.count(item.key()) == 0) {
        refuse(prefix_ + item.key(), what + " has no member \"" + prefix_ + item.key() + "\"");
      }
    }
  }

  template <class T>
  static T convert(const Json& value, const std::string& field) {
    if constexpr (std::is_same_v<T, bool>) {
      if (!value.is_boolean()) {
        refuse(field, field + " is " + kind(value) + "; expected true or false");
      }
    } else if constexpr (std::is_integral_v<T>) {
      const bool fits =
          value.is_number_unsigned()
              ? value.get<std::uint64_t>() <= std::uint64_t(std::numeric_limits<T>::max())
              : value.is_number_integer() &&
                    value.get<std::int64_t>() >= std::int64_t(std::numeric_limits<T>::min());
      if (!fits) {
        refuse(field,
               field + " is " + kind(value) + "; expected an integer of " +
                   std::to_string(sizeof(T) * 8) + " bits");
      }
    } else if constexpr (std::is_same_v<T, double>) {
      if (!value.is_number()) {
        refuse(field, field + " is " + kind(value) + "; expected a number");
      }
    } else if (!value.is_string()) {
      refuse(field, field + " is " + kind(value) + "; expected a string");
    }
    return value.get<T>();
  }

 private:
  static std::string kind(const Json& value) {
    return value.is_number() ? value.dump() : std::string(value.type_name());
  }

  const Json& object_;
  std::string prefix_;
  std::set<std::string> seen_;
};

std::string dump(const Json& json) {
  // Text that is not UTF-8 (a host or file name) must not cost the whole line.
  std::string line = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (line.size() + 1 > kMaxLineBytes) {
    refuse("",
           "the line has " + std::to_string(line.size() + 1) + " bytes; at most " +
               std::to_string(kMaxLineBytes) + " are allowed");
  }
  return line;
}

/// Parses one line to an object. A name that occurs twice is refused: which of the two was meant
/// cannot be known.
Json parse(const std::string& line) {
  if (line.size() + 1 > kMaxLineBytes) {
    refuse("", "the line is longer than " + std::to_string(kMaxLineBytes) + " bytes");
  }
  std::vector<std::set<std::string>> names;
  std::string twice;
  const auto watch = [&](int, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::object_start) {
      names.emplace_back();
    } else if (event == Json::parse_event_t::object_end && !names.empty()) {
      names.pop_back();
    } else if (event == Json::parse_event_t::key && !names.empty()) {
      const auto& name = value.get_ref<const std::string&>();
      if (!names.back().insert(name).second) {
        twice = name;
      }
    }
    return true;
  };
  Json json;
  try {
    json = Json::parse(line, watch);
  } catch (const Json::exception& error) {
    // The library's sentence quotes what it read, which may not be fit to print.
    const auto* place = dynamic_cast<const Json::parse_error*>(&error);
    refuse("",
           place ? "the line is not JSON: error at byte " + std::to_string(place->byte)
                 : std::string("the line is not JSON: a number is out of range"));
  }
  if (!json.is_object()) {
    refuse("", std::string("the line is ") + json.type_name() + "; expected a JSON object");
  }
  if (!twice.empty()) {
    refuse(twice, "the member \"" + twice + "\" occurs twice");
  }
  return json;
}

Json to_json(const CommandBody& body) {
  Json json = Json::object();
  json["command"] = command_name(body);
  if (const auto* hello = std::get_if<HelloCommand>(&body)) {
    json["protocol"] = hello->protocol;
    json["client"] = hello->client;
  } else if (const auto* stop = std::get_if<StopCommand>(&body)) {
    json["mode"] = to_string(stop->mode);
  } else if (const auto* lr = std::get_if<LrCommand>(&body)) {
    json["value"] = lr->value;
  } else if (const auto* accumulation = std::get_if<AccumulationCommand>(&body)) {
    json["value"] = accumulation->value;
  } else if (const auto* end = std::get_if<EndCommand>(&body)) {
    json["step"] = end->step;
  } else if (const auto* optimizer = std::get_if<OptimizerCommand>(&body)) {
    if (optimizer->name) {
      json["name"] = *optimizer->name;
    }
    if (optimizer->agvm) {
      json["agvm"] = *optimizer->agvm;
    }
    if (optimizer->lr) {
      json["lr"] = *optimizer->lr;
    }
    json["state"] = to_string(optimizer->state);
    json["lr_mapping"] = to_string(optimizer->lr_mapping);
    json["decay_mapping"] = to_string(optimizer->decay_mapping);
    if (!optimizer->set.empty()) {
      json["set"] = optimizer->set;
    }
    if (optimizer->dry_run) {
      json["dry_run"] = true;
    }
  } else if (const auto* shadow = std::get_if<ShadowCommand>(&body)) {
    json["action"] = to_string(shadow->action);
    if (!shadow->name.empty()) {
      json["name"] = shadow->name;
    }
    if (!shadow->label.empty()) {
      json["label"] = shadow->label;
    }
    if (!shadow->set.empty()) {
      json["set"] = shadow->set;
    }
  }
  return json;
}

std::map<std::string, std::string> set_from(Members& members) {
  std::map<std::string, std::string> set;
  if (!members.has("set")) {
    return set;
  }
  const Json& given = members.raw("set");
  if (!given.is_object()) {
    refuse("set", "set is not an object; expected {\"optim.key\": \"value\"}");
  }
  for (const auto& item : given.items()) {
    if (!item.key().starts_with("optim.")) {
      refuse(item.key(), "set has the key \"" + item.key() + "\"; expected a key under optim.");
    }
    set[item.key()] = Members::convert<std::string>(item.value(), item.key());
  }
  return set;
}

/// Optimizer arguments go through make_command, so that words are read in one place only.
CommandBody optimizer_from(Members& members) {
  std::map<std::string, std::string> words;
  for (const char* name : {"name", "state", "lr_mapping", "decay_mapping"}) {
    if (members.has(name)) {
      words[name] = members.get<std::string>(name);
    }
  }
  auto command = std::get<OptimizerCommand>(make_command("optimizer", words));
  if (members.has("agvm")) {
    command.agvm = members.get<bool>("agvm");
  }
  if (members.has("lr")) {
    command.lr = members.get<double>("lr");
  }
  command.dry_run = members.get<bool>("dry_run", false);
  command.set = set_from(members);
  return command;
}

CommandBody shadow_from(Members& members) {
  std::map<std::string, std::string> words = set_from(members);
  for (const char* name : {"action", "name", "label"}) {
    if (members.has(name)) {
      words[name] = members.get<std::string>(name);
    }
  }
  return make_command("shadow", words);
}

CommandBody body_from(const std::string& name, Members& members) {
  if (name == "hello") {
    HelloCommand hello;
    hello.protocol = members.get<int>("protocol");
    hello.client = members.get<std::string>("client", "");
    return hello;
  }
  if (name == "stop") {
    return make_command(name, {{"mode", members.get<std::string>("mode", "save")}});
  }
  if (name == "lr") {
    return LrCommand{members.get<double>("value")};
  }
  if (name == "accumulation") {
    return AccumulationCommand{members.get<std::int64_t>("value")};
  }
  if (name == "end") {
    return EndCommand{members.get<std::int64_t>("step")};
  }
  if (name == "optimizer") {
    return optimizer_from(members);
  }
  if (name == "shadow") {
    return shadow_from(members);
  }
  return make_command(name, {});
}

/// JSON has no NaN or infinity: they are written as null, and null is read as NaN.
Json number_or_null(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

Json to_json(const StatusReport& status) {
  return {{"run_id", status.run_id},
          {"state", to_string(status.state)},
          {"step", status.step},
          {"steps", status.steps},
          {"images", status.images},
          {"committed_seq", status.committed_seq},
          {"optimizer", status.optimizer},
          {"agvm", status.agvm},
          {"lr", number_or_null(status.lr)},
          {"lr_in_use", number_or_null(status.lr_in_use)},
          {"micro", status.micro},
          {"accumulation", status.accumulation},
          {"ranks", status.ranks},
          {"phase", status.phase},
          {"host", status.host},
          {"trouble", status.trouble}};
}

double number_from(Members& members, const char* name) {
  return members.has(name) && members.raw(name).is_null() ? std::numeric_limits<double>::quiet_NaN()
                                                          : members.get<double>(name);
}

StatusReport status_from(const Json& json) {
  if (!json.is_object()) {
    refuse("status", "status is not an object");
  }
  Members members(json, "status.");
  StatusReport status;
  status.run_id = members.get<std::string>("run_id");
  status.state = run_state_from(members.get<std::string>("state"));
  status.step = members.get<std::int64_t>("step");
  status.steps = members.get<std::int64_t>("steps");
  status.images = members.get<std::int64_t>("images");
  status.committed_seq = members.get<std::int64_t>("committed_seq");
  status.optimizer = members.get<std::string>("optimizer");
  status.agvm = members.get<bool>("agvm");
  status.lr = number_from(members, "lr");
  // Engines of before did not tell.
  status.lr_in_use = members.has("lr_in_use") ? number_from(members, "lr_in_use") : status.lr;
  status.micro = members.get<std::int64_t>("micro");
  status.accumulation = members.get<std::int64_t>("accumulation");
  status.ranks = members.get<std::int64_t>("ranks");
  status.phase = members.get<std::string>("phase");
  if (members.has("host")) {
    status.host = members.get<std::string>("host");
  }
  if (members.has("trouble")) {
    status.trouble = members.get<std::string>("trouble");
  }
  return status;
}

Json to_json(const Reply& reply) {
  Json json = {{"id", reply.id}};
  if (reply.ok) {
    json["ok"] = true;
  } else {
    json["error"] = reply.error;
    json["field"] = reply.field;
  }
  if (reply.step != -1) {
    json["step"] = reply.step;
  }
  if (reply.protocol != 0) {
    json["protocol"] = reply.protocol;
  }
  if (!reply.engine.empty()) {
    json["engine"] = reply.engine;
  }
  if (reply.status) {
    json["status"] = to_json(*reply.status);
  }
  if (!reply.detail.empty()) {
    json["detail"] = reply.detail;
  }
  return json;
}

Reply reply_from(Members& members) {
  Reply reply;
  reply.id = members.get<std::int64_t>("id");
  reply.ok = members.get<bool>("ok", false);
  if (reply.ok == members.has("error")) {
    refuse("ok", "a reply has either \"ok\": true or an \"error\"");
  }
  reply.step = members.get<std::int64_t>("step", -1);
  reply.error = members.get<std::string>("error", "");
  reply.field = members.get<std::string>("field", "");
  reply.protocol = members.get<int>("protocol", 0);
  reply.engine = members.get<std::string>("engine", "");
  if (members.has("status")) {
    reply.status = status_from(members.raw("status"));
  }
  reply.detail = members.get<std::string>("detail", "");
  return reply;
}

}  // namespace

std::string encode(const Command& command) {
  check(command.body);
  Json json = to_json(command.body);
  json["id"] = command.id;
  return dump(json);
}

std::string encode(const Report& report) {
  if (const auto* reply = std::get_if<Reply>(&report)) {
    return dump(to_json(*reply));
  }
  if (const auto* committed = std::get_if<CommittedNotice>(&report)) {
    return dump({{"notice", "committed"}, {"seq", committed->seq}});
  }
  if (const auto* state = std::get_if<StateNotice>(&report)) {
    return dump({{"notice", "state"}, {"status", to_json(state->status)}});
  }
  const auto& pending = std::get<PendingNotice>(report);
  return dump({{"notice", "pending"}, {"id", pending.id}, {"command", pending.command}});
}

Command decode_command(const std::string& line, std::int64_t* id_out) {
  if (id_out != nullptr) {
    *id_out = -1;
  }
  const Json json = parse(line);
  Members members(json, "");
  Command command;
  command.id = members.get<std::int64_t>("id");
  if (id_out != nullptr) {
    *id_out = command.id;
  }
  const auto name = members.get<std::string>("command");
  command.body = body_from(name, members);
  // A hello of another version may say more than this one knows; it still gets its reply.
  const auto* hello = std::get_if<HelloCommand>(&command.body);
  if (hello == nullptr || hello->protocol == kProtocolVersion) {
    members.finish(name);
  }
  check(command.body);
  return command;
}

Report decode_report(const std::string& line) {
  const Json json = parse(line);
  Members members(json, "");
  if (!members.has("notice")) {
    return reply_from(members);
  }
  const auto notice = members.get<std::string>("notice");
  if (notice == "committed") {
    return CommittedNotice{members.get<std::int64_t>("seq")};
  }
  if (notice == "state") {
    if (!members.has("status")) {
      refuse("status", "the member \"status\" is missing");
    }
    return StateNotice{status_from(members.raw("status"))};
  }
  if (notice == "pending") {
    return PendingNotice{members.get<std::int64_t>("id"), members.get<std::string>("command")};
  }
  refuse("notice", "unknown notice \"" + notice + "\"");
}

}  // namespace batchscope::contract
