#include "engine/contract/error.h"
#include "engine/contract/messages.h"
#include "tests/support/test_program.h"

#include <QTest>

#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <random>
#include <set>

using namespace batchscope::contract;

namespace QTest {
template <>
char* toString(const std::string& text) {
  return qstrdup(text.c_str());
}
}  // namespace QTest

namespace {

/// The field that decode_command finds at fault; "-" when it finds none.
std::string refused_field(const std::string& line, std::int64_t* id = nullptr) {
  try {
    decode_command(line, id);
  } catch (const SpecError& error) {
    return error.field();
  }
  return "-";
}

std::string refused_args(const std::string& name, const std::map<std::string, std::string>& args) {
  try {
    make_command(name, args);
  } catch (const SpecError& error) {
    return error.field();
  }
  return "-";
}

std::vector<CommandBody> all_bodies() {
  OptimizerCommand full;
  full.name = "pmd_lamb";
  full.agvm = true;
  full.lr = 0.1 + 0.2;
  full.state = StatePolicy::kConvert;
  full.lr_mapping = LrMapping::kRewarmup;
  full.decay_mapping = DecayMapping::kKeep;
  full.set = {{"optim.pmd.period", "100"}, {"optim.betas", "[0.9, 0.99]"}};
  full.dry_run = true;
  OptimizerCommand off;
  off.agvm = false;
  return {HelloCommand{kProtocolVersion, "a \"client\"\n"},
          StatusCommand{},
          PauseCommand{},
          ResumeCommand{},
          StopCommand{StopMode::kSave},
          StopCommand{StopMode::kNow},
          CheckpointCommand{},
          UndoCommand{},
          LrCommand{1e-300},
          LrCommand{0.08},
          AccumulationCommand{7},
          EndCommand{std::numeric_limits<std::int64_t>::max()},
          OptimizerCommand{},
          off,
          full,
          ShadowCommand{ShadowAction::kAdd, "lamb", "", {}},
          ShadowCommand{ShadowAction::kAdd, "pmd_lamb", "hot", {{"optim.lr", "0.01"}}},
          ShadowCommand{ShadowAction::kRemove, "", "hot", {}}};
}

StatusReport a_status() {
  StatusReport status;
  status.run_id = "0123456789ab";
  status.state = RunState::kPaused;
  status.step = 12;
  status.steps = 300;
  status.images = 1536;
  status.committed_seq = 14;
  status.optimizer = "lamb";
  status.agvm = true;
  status.lr = 0.1;
  status.micro = 2;
  status.accumulation = 3;
  status.ranks = 4;
  status.lr_in_use = 0.5;
  status.phase = "training";
  status.trouble = "The disk is full.";
  return status;
}

}  // namespace

class TestMessages : public QObject {
  Q_OBJECT
 private Q_SLOTS:
  void commands_round_trip();
  void reports_round_trip();
  void every_number_survives();
  void args_round_trip();
  void refusals_data();
  void refusals();
  void refused_args_name_the_argument();
  void textual_forms();
  void hello_of_another_version_is_read();
  void reports_may_say_more();
  void long_lines();
  void random_bytes();
  void protocol_examples();
  void words();
};

void TestMessages::commands_round_trip() {
  for (const auto& body : all_bodies()) {
    for (const std::int64_t id : {std::int64_t(0),
                                  std::int64_t(42),
                                  std::numeric_limits<std::int64_t>::min(),
                                  std::numeric_limits<std::int64_t>::max()}) {
      const Command command{id, body};
      const std::string line = encode(command);
      QVERIFY2(line.find('\n') == std::string::npos, line.c_str());
      std::int64_t read = 5;
      QVERIFY2(decode_command(line, &read) == command, line.c_str());
      QCOMPARE(read, id);
    }
  }
}

void TestMessages::reports_round_trip() {
  Reply applied;
  applied.id = 3;
  applied.ok = true;
  applied.step = 0;
  applied.detail = "back to step 40";
  Reply refused;
  refused.id = -9;
  refused.error = "value is -1; expected a finite number above 0";
  refused.field = "value";
  Reply hello;
  hello.ok = true;
  hello.protocol = 1;
  hello.engine = "0.1.0";
  hello.status = a_status();
  const std::vector<Report> reports = {applied,
                                       refused,
                                       hello,
                                       CommittedNotice{std::int64_t(1) << 60},
                                       StateNotice{a_status()},
                                       PendingNotice{8, "optimizer"}};
  for (const auto& report : reports) {
    const std::string line = encode(report);
    QVERIFY2(line.find('\n') == std::string::npos, line.c_str());
    QVERIFY2(decode_report(line) == report, line.c_str());
  }
}

void TestMessages::every_number_survives() {
  std::mt19937_64 random(7);
  for (int i = 0; i < 2000; ++i) {
    const std::uint64_t bits = random() & 0x7fffffffffffffffULL;
    double value = 0;
    std::memcpy(&value, &bits, sizeof value);
    if (!std::isfinite(value) || value <= 0) {
      continue;
    }
    const Command command{std::int64_t(random()), LrCommand{value}};
    QVERIFY(decode_command(encode(command)) == command);
    QVERIFY(make_command("lr", command_args(command.body)) == command.body);
  }
  StateNotice diverged{a_status()};
  diverged.status.lr = std::numeric_limits<double>::infinity();
  const auto read = std::get<StateNotice>(decode_report(encode(Report(diverged))));
  QVERIFY(std::isnan(read.status.lr));
}

void TestMessages::args_round_trip() {
  for (const auto& body : all_bodies()) {
    QVERIFY2(make_command(command_name(body), command_args(body)) == body,
             command_name(body).c_str());
  }
}

void TestMessages::refusals_data() {
  QTest::addColumn<QString>("line");
  QTest::addColumn<QString>("field");
  QTest::addColumn<int>("id");
  const auto row = [](const char* name, const char* line, const char* field, int id) {
    QTest::newRow(name) << QString::fromUtf8(line) << QString::fromUtf8(field) << id;
  };
  row("empty", "", "", -1);
  row("not JSON", "pause", "", -1);
  row("an array", "[]", "", -1);
  row("half a line", R"({"id":1,"command":"pau)", "", -1);
  row("two values", R"({"id":1,"command":"pause"} {})", "", -1);
  row("no id", R"({"command":"pause"})", "id", -1);
  row("id a string", R"({"id":"1","command":"pause"})", "id", -1);
  row("id a float", R"({"id":1.0,"command":"pause"})", "id", -1);
  row("id too large", R"({"id":9223372036854775808,"command":"pause"})", "id", -1);
  row("no command", R"({"id":4})", "command", 4);
  row("command a number", R"({"id":4,"command":1})", "command", 4);
  row("unknown command", R"({"id":4,"command":"explode"})", "command", 4);
  row("unknown member", R"({"id":4,"command":"pause","now":true})", "now", 4);
  row("twice", R"({"id":4,"command":"lr","value":1,"value":2})", "value", -1);
  row("hello without version", R"({"id":4,"command":"hello"})", "protocol", 4);
  row("hello unknown member", R"({"id":4,"command":"hello","protocol":1,"x":1})", "x", 4);
  row("mode", R"({"id":4,"command":"stop","mode":"later"})", "mode", 4);
  row("lr missing", R"({"id":4,"command":"lr"})", "value", 4);
  row("lr a string", R"({"id":4,"command":"lr","value":"0.1"})", "value", 4);
  row("lr null", R"({"id":4,"command":"lr","value":null})", "value", 4);
  row("lr zero", R"({"id":4,"command":"lr","value":0})", "value", 4);
  row("lr negative", R"({"id":4,"command":"lr","value":-1e-9})", "value", 4);
  row("lr NaN", R"({"id":4,"command":"lr","value":NaN})", "", -1);
  row("lr overflows", R"({"id":4,"command":"lr","value":1e999})", "", -1);
  row("accumulation zero", R"({"id":4,"command":"accumulation","value":0})", "value", 4);
  row("accumulation float", R"({"id":4,"command":"accumulation","value":2.5})", "value", 4);
  row("end zero", R"({"id":4,"command":"end","step":0})", "step", 4);
  row("optimizer name", R"({"id":4,"command":"optimizer","name":"adam"})", "name", 4);
  row("agvm a word", R"({"id":4,"command":"optimizer","agvm":"on"})", "agvm", 4);
  row("optimizer lr", R"({"id":4,"command":"optimizer","lr":-1})", "lr", 4);
  row("state", R"({"id":4,"command":"optimizer","state":"keep"})", "state", 4);
  row("lr_mapping", R"({"id":4,"command":"optimizer","lr_mapping":"x"})", "lr_mapping", 4);
  row("decay_mapping", R"({"id":4,"command":"optimizer","decay_mapping":"x"})", "decay_mapping", 4);
  row("set a list", R"({"id":4,"command":"optimizer","set":[]})", "set", 4);
  row("set a number", R"({"id":4,"command":"optimizer","set":{"optim.eps":1}})", "optim.eps", 4);
  row("set elsewhere", R"({"id":4,"command":"optimizer","set":{"run.seed":"1"}})", "run.seed", 4);
  row("set lr", R"({"id":4,"command":"optimizer","set":{"optim.lr":"1"}})", "optim.lr", 4);
  row("set shadows",
      R"({"id":4,"command":"optimizer","set":{"optim.shadow":"[]"}})",
      "optim.shadow",
      4);
  row("shadow without action", R"({"id":4,"command":"shadow","name":"sgd"})", "action", 4);
  row("shadow action", R"({"id":4,"command":"shadow","action":"hide"})", "action", 4);
  row("shadow without name", R"({"id":4,"command":"shadow","action":"add"})", "name", 4);
  row("shadow name",
      R"({"id":4,"command":"shadow","action":"add","name":"adam"})",
      "optim.name",
      4);
  row("shadow set",
      R"({"id":4,"command":"shadow","action":"add","name":"sgd","set":{"optim.lr":"x"}})",
      "optim.lr",
      4);
  row("shadow set elsewhere",
      R"({"id":4,"command":"shadow","action":"add","name":"sgd","set":{"run.seed":"1"}})",
      "run.seed",
      4);
  row("shadow remove nothing", R"({"id":4,"command":"shadow","action":"remove"})", "label", 4);
}

void TestMessages::refusals() {
  QFETCH(QString, line);
  QFETCH(QString, field);
  QFETCH(int, id);
  std::int64_t read = 99;
  QCOMPARE(refused_field(line.toStdString(), &read), field.toStdString());
  QCOMPARE(read, std::int64_t(id));
}

void TestMessages::refused_args_name_the_argument() {
  QCOMPARE(refused_args("explode", {}), std::string("command"));
  QCOMPARE(refused_args("pause", {{"now", "1"}}), std::string("now"));
  QCOMPARE(refused_args("lr", {}), std::string("value"));
  QCOMPARE(refused_args("lr", {{"value", "fast"}}), std::string("value"));
  QCOMPARE(refused_args("lr", {{"value", "nan"}}), std::string("value"));
  QCOMPARE(refused_args("lr", {{"value", "inf"}}), std::string("value"));
  QCOMPARE(refused_args("lr", {{"value", "0.1x"}}), std::string("value"));
  QCOMPARE(refused_args("accumulation", {{"value", "2.5"}}), std::string("value"));
  QCOMPARE(refused_args("end", {{"step", "99999999999999999999"}}), std::string("step"));
  QCOMPARE(refused_args("optimizer", {{"agvm", "yes"}}), std::string("agvm"));
  QCOMPARE(refused_args("optimizer", {{"name", "SGD"}}), std::string("name"));
  QCOMPARE(refused_args("optimizer", {{"model.name", "x"}}), std::string("model.name"));
}

void TestMessages::textual_forms() {
  OptimizerCommand expected;
  expected.name = "lamb";
  expected.agvm = true;
  expected.lr = 0.005;
  expected.lr_mapping = LrMapping::kTargetNow;
  expected.set = {{"optim.lamb.trust_max", "5"}};
  QVERIFY(make_command("optimizer",
                       {{"name", "lamb"},
                        {"agvm", "on"},
                        {"lr", "5e-3"},
                        {"lr_mapping", "target_now"},
                        {"optim.lamb.trust_max", "5"},
                        {"dry_run", "false"}}) == CommandBody(expected));
  QVERIFY(make_command("stop", {}) == CommandBody(StopCommand{StopMode::kSave}));
  QVERIFY(make_command("stop", {{"mode", "now"}}) == CommandBody(StopCommand{StopMode::kNow}));
  QVERIFY(make_command("end", {{"step", "500"}}) == CommandBody(EndCommand{500}));
}

void TestMessages::hello_of_another_version_is_read() {
  const auto command =
      decode_command(R"({"id":1,"command":"hello","protocol":2,"client":"new","more":[1]})");
  QCOMPARE(std::get<HelloCommand>(command.body).protocol, 2);
}

void TestMessages::reports_may_say_more() {
  Reply expected;
  expected.id = 1;
  expected.ok = true;
  expected.step = 4;
  QVERIFY(decode_report(R"({"id":1,"ok":true,"step":4,"since":"later"})") == Report(expected));
  QVERIFY_THROWS_EXCEPTION(SpecError, decode_report(R"({"id":1})"));
  QVERIFY_THROWS_EXCEPTION(SpecError, decode_report(R"({"id":1,"ok":true,"error":"x"})"));
  QVERIFY_THROWS_EXCEPTION(SpecError, decode_report(R"({"notice":"other"})"));
  QVERIFY_THROWS_EXCEPTION(SpecError,
                           decode_report(R"({"notice":"state","status":{"state":"running"}})"));
}

void TestMessages::long_lines() {
  const Command fits{1, HelloCommand{1, std::string(kMaxLineBytes - 200, 'x')}};
  QVERIFY(decode_command(encode(fits)) == fits);
  const Command too_long{1, HelloCommand{1, std::string(kMaxLineBytes, 'x')}};
  QVERIFY_THROWS_EXCEPTION(SpecError, encode(too_long));
  QCOMPARE(refused_field(std::string(10 << 20, ' ')), std::string(""));
  QCOMPARE(refused_field(std::string(kMaxLineBytes - 1, '[')), std::string(""));
  // Bytes that are not UTF-8 are refused on the way in and replaced on the way out.
  QCOMPARE(refused_field("{\"id\":1,\"command\":\"\xff\"}"), std::string(""));
  Reply reply;
  reply.ok = true;
  reply.detail = "file \xff";
  QCOMPARE(std::get<Reply>(decode_report(encode(Report(reply)))).detail,
           std::string("file \xef\xbf\xbd"));
}

void TestMessages::random_bytes() {
  std::mt19937 random(11);
  const std::string valid = encode(Command{1, all_bodies().back()});
  for (int i = 0; i < 20000; ++i) {
    std::string line = i % 2 == 0 ? valid : std::string(random() % 60, ' ');
    const int changes = i % 2 == 0 ? 1 + int(random() % 3) : int(line.size());
    for (int c = 0; c < changes && !line.empty(); ++c) {
      line[random() % line.size()] = char(random());
    }
    try {
      const Command command = decode_command(line);
      QVERIFY(decode_command(encode(command)) == command);
    } catch (const SpecError&) {
      // A sentence and no crash is all that noise may get.
    }
  }
}

void TestMessages::protocol_examples() {
  std::ifstream file(BATCHSCOPE_SOURCE_DIR "/engine/contract/PROTOCOL.md");
  QVERIFY(file.is_open());
  std::set<std::string> commands, reports;
  std::string line;
  while (std::getline(file, line)) {
    if (line.rfind("> {", 0) == 0) {
      const Command command = decode_command(line.substr(2));
      QVERIFY2(decode_command(encode(command)) == command, line.c_str());
      commands.insert(command_name(command.body));
    } else if (line.rfind("< {", 0) == 0) {
      const Report report = decode_report(line.substr(2));
      QVERIFY2(decode_report(encode(report)) == report, line.c_str());
      const auto* reply = std::get_if<Reply>(&report);
      reports.insert(reply == nullptr ? std::to_string(report.index())
                                      : (reply->ok ? "ok" : "error"));
    }
  }
  for (const auto& body : all_bodies()) {
    QVERIFY2(commands.count(command_name(body)) == 1, command_name(body).c_str());
  }
  QCOMPARE(reports, (std::set<std::string>{"1", "2", "3", "error", "ok"}));
}

void TestMessages::words() {
  for (const char* word : {"queued",
                           "starting",
                           "running",
                           "paused",
                           "stopping",
                           "finished",
                           "stopped",
                           "failed",
                           "lost"}) {
    QCOMPARE(to_string(run_state_from(word)), std::string(word));
  }
  QVERIFY_THROWS_EXCEPTION(SpecError, run_state_from("Running"));
}

BATCHSCOPE_TEST(TestMessages)
#include "tst_messages.moc"
