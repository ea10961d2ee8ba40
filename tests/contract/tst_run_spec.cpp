#include "engine/contract/error.h"
#include "engine/contract/run_spec.h"
#include "tests/support/test_program.h"

#include <QtTest>

#include <filesystem>
#include <fstream>
#include <limits>

using namespace batchscope::contract;

namespace {

struct Refusal {
  QString sentence, field;
  int line = 0, column = 0;
};

Refusal refusalOf(const std::string& toml) {
  try {
    validate(parse_spec(toml, "/specs", "my.toml"));
  } catch (const SpecError& e) {
    return {QString::fromUtf8(e.what()), QString::fromStdString(e.field()), e.line(), e.column()};
  }
  return {};
}

}  // namespace

class TestRunSpec : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void anEmptyFileIsTheDemo();
  void designExample();
  void everyKeyRoundTrips();
  void refusals_data();
  void refusals();
  void setValue();
  void setValueRefuses();
  void pathsBecomeAbsolute();
  void presetsAreValid();
  void resolveCountsPictures();
  void warmUpLongerThanTheRun();
  void resolveDefaultsOfShortAndLongRuns();
  void lrRules_data();
  void lrRules();
  void differences();
  void shadowsOverrideOptim();
  void shadowsKeepTheirSettings();
  void shadowsFromArguments();
  void randomBytesNeverCrash();
};

void TestRunSpec::anEmptyFileIsTheDemo() {
  const RunSpec spec = parse_spec("");
  QCOMPARE(spec, RunSpec{});
  const ResolvedPlan plan = resolve(spec, 4096);
  QCOMPARE(plan.effective_batch, 8);
  QCOMPARE(plan.total_images, 38400);
  QCOMPARE(plan.steps, 4800);
  QCOMPARE(plan.warmup_steps, 480);
  QCOMPARE(spec.optim.lr, 0.08);
}

void TestRunSpec::designExample() {
  const RunSpec spec = parse_spec(R"(
[run]
name = "faster r50, AGVM on PMD-LAMB"
seed = 7
[data]
kind = "coco"
annotations = "train.json"
images = "train"
val_annotations = "val.json"
val_images = "val"
[model]
name = "tiny_faster_rcnn"
norm = "gn"
[batch]
micro = 2
accumulation = 32
ranks = 4
[optim]
name = "pmd_lamb"
lr = 0.005
lr_rule = "sqrt"
base_batch = 16
weight_decay = 1e-4
clip_norm = 1.0
[optim.pmd]
period = 200
curve = "cosine"
variant = "moment_scale"
[optim.agvm]
enabled = true
interval = 10
alpha = 0.97
start = 600
[schedule]
epochs = 12
warmup = { kind = "linear", steps = 500 }
decay = { kind = "step", epochs = [8, 11], factor = 0.1 }
[checkpoint]
every_steps = 500
[[events]]
step = 1000
command = "optimizer"
args = { name = "lamb", lr_mapping = "match_update" }
)");
  QCOMPARE(spec.batch.effective(), 256);
  QCOMPARE(spec.optim.agvm.start.value(), 600);
  QCOMPARE(spec.schedule.decay.epochs, (std::vector<double>{8, 11}));
  QCOMPARE(spec.events.size(), 1U);
  QCOMPARE(spec.events[0].step, 1000);
  const auto& command = std::get<OptimizerCommand>(spec.events[0].command);
  QCOMPARE(command.name.value(), std::string("lamb"));
  const ResolvedPlan plan = resolve(spec, 117266);
  QCOMPARE(plan.total_images, 12 * 117266);
  QCOMPARE(plan.steps, (12 * 117266 + 255) / 256);
  QCOMPARE(plan.lr, 0.005 * 4);
  QCOMPARE(plan.eps, 1e-6);
  QCOMPARE(plan.clip_form, std::string("lamb"));
  QCOMPARE(plan.decay_images, (std::vector<std::int64_t>{8 * 117266, 11 * 117266}));
}

void TestRunSpec::everyKeyRoundTrips() {
  RunSpec spec;
  for (const auto& key : schema()) {
    std::string value = key.fallback;
    if (key.key == "schedule.epochs" || key.key == "schedule.images" ||
        key.key == "schedule.warmup.epochs" || key.key == "schedule.warmup.images" ||
        key.key == "schedule.warmup.fraction" || key.key == "schedule.decay.epochs" ||
        key.key == "schedule.decay.images") {
      continue;  // at most one length each: the steps are set
    }
    if (key.range.starts_with("one of ")) {
      value = key.range.substr(key.range.rfind(' ') + 1);
    } else if (key.type == "integer") {
      value = "17";
    } else if (key.type == "float") {
      value = "0.3141592653589793";
    } else if (key.type == "boolean") {
      value = key.fallback == "true" ? "false" : "true";
    } else if (key.type == "string") {
      value = "\"a \\\"word\\\" = \\\\ # ü\"";
    } else if (key.type == "[float, float]") {
      value = "[0.25, 0.75]";
    } else if (key.type == "list of strings") {
      value = "[\"x\", \"y z\"]";
    } else if (key.type == "list of tables") {
      value = "[{ name = \"lamb\", pmd = { period = 9 } }, { name = \"sgd\", label = \"s-1\" }]";
    } else {
      value = "[3, 40]";
    }
    if (key.range.ends_with(" values")) {  // the number of the list's elements
      const auto at = key.range.find_last_of(' ', key.range.size() - 8);
      const int count = std::stoi(key.range.substr(at + 1));
      value = "[3";
      for (int i = 1; i < count; ++i) {
        value += ", 40";
      }
      value += "]";
    }
    if (key.key == "model.trainable_layers") {
      value = "2";
    } else if (key.key == "optim.nesterov" || key.key == "data.min_object" ||
               key.key == "data.max_object" || key.key == "optim.lamb.trust_min" ||
               key.key == "data.size") {
      continue;  // contradict other keys at these values
    }
    set_value(spec, key.key, value);
  }
  spec.events.push_back({12, LrCommand{0.25}});
  OptimizerCommand command;
  command.name = "pmd_lamb";
  command.agvm = true;
  command.set["optim.pmd.period"] = "50";
  spec.events.push_back({20, command});
  const std::string text = to_toml(spec);
  const RunSpec again = parse_spec(text);
  QCOMPARE(to_toml(again), text);
  QVERIFY(again == spec);
  QCOMPARE(again.optim.betas[1], 0.75);
  QCOMPARE(again.run.name, std::string("a \"word\" = \\ # ü"));
}

void TestRunSpec::refusals_data() {
  QTest::addColumn<QString>("toml");
  QTest::addColumn<QString>("field");
  QTest::addColumn<int>("line");
  QTest::addColumn<QString>("mention");
  const auto row =
      [](const char* name, const char* toml, const char* field, int line, const char* mention) {
        QTest::newRow(name) << QString::fromUtf8(toml) << QString::fromUtf8(field) << line
                            << QString::fromUtf8(mention);
      };
  row("unknown key",
      "[optim]\nmomentun = 0.9\n",
      "optim.momentun",
      2,
      "did you mean optim.momentum?");
  row("unknown section", "[optin]\nlr = 1\n", "optin", 1, "optin");
  row("unknown nested key",
      "[optim.agvm]\nintervall = 3\n",
      "optim.agvm.intervall",
      2,
      "optim.agvm.interval");
  row("wrong type", "[optim]\n\nlr = \"fast\"\n", "optim.lr", 3, "must be a float, found a string");
  row("float for an integer",
      "[batch]\nmicro = 2.5\n",
      "batch.micro",
      2,
      "must be an integer, found a float");
  row("range", "[batch]\nmicro = 0\n", "batch.micro", 2, "must be >= 1, found 0");
  row("above", "[optim]\nlr = 0.0\n", "optim.lr", 2, "must be > 0, found 0");
  row("not finite", "[optim]\nlr = nan\n", "optim.lr", 2, "must be finite");
  row("word",
      "[optim]\nname = \"adam\"\n",
      "optim.name",
      2,
      "one of sgd, adamw, lars, lamb, pmd_lamb");
  row("pair", "[optim]\nbetas = [0.9]\n", "optim.betas", 2, "[float, float]");
  row("pair range", "[optim]\nbetas = [0.9, 1.0]\n", "optim.betas", 2, "must be < 1, found 1");
  row("value for a table", "[schedule]\nwarmup = 3\n", "schedule.warmup", 2, "must be a table");
  row("table for a value", "[optim.lr]\nx = 1\n", "optim.lr", 1, "found a table");
  row("syntax", "[optim]\nlr = = 1\n", "", 2, "my.toml, line 2");
  row("two lengths",
      "[schedule]\nsteps = 3\nepochs = 1\n",
      "schedule",
      1,
      "one of epochs, steps and images");
  row("nesterov", "[optim]\nnesterov = true\nmomentum = 0\n", "optim.nesterov", 2, "momentum > 0");
  row("milestones", "[schedule]\ndecay = { kind = \"step\" }\n", "schedule.decay", 2, "milestones");
  row("coco without data",
      "[data]\nkind = \"coco\"\n",
      "data.annotations",
      0,
      "training annotations");
  row("key of another kind",
      "[data]\nkind = \"coco\"\nannotations = \"a\"\nimages = \"b\"\nlist = \"c\"\n",
      "data.list",
      0,
      "does not go with data.kind \"coco\"; it is of voc, ade20k, openimages");
  row("event command", "[[events]]\nstep = 1\ncommand = \"dance\"\n", "events.cmd", 1, "dance");
  row("event argument",
      "[[events]]\nstep = 1\ncommand = \"lr\"\nargs = { value = \"x\" }\n",
      "events.value",
      1,
      "step 1");
  row("event key",
      "[[events]]\nstep = 1\nwhen = 2\ncommand = \"lr\"\n",
      "events.when",
      3,
      "step, command and args");
  row("event without step", "[[events]]\ncommand = \"pause\"\n", "events.step", 1, "integer >= 0");
  row("shadow of a value", "[optim]\nshadow = 3\n", "optim.shadow", 2, "[[optim.shadow]]");
  row("shadow without a method",
      "[[optim.shadow]]\nlr = 0.1\n",
      "optim.shadow.name",
      1,
      "the optimizer of the shadow");
  row("shadow key",
      "[[optim.shadow]]\nname = \"lamb\"\nspeed = 1\n",
      "optim.shadow.speed",
      3,
      "is not a key of a shadow");
  row("shadow type",
      "[[optim.shadow]]\nname = \"lamb\"\nlr = \"x\"\n",
      "optim.shadow.lr",
      3,
      "must be a float");
  row("shadow range",
      "[[optim.shadow]]\nname = \"lamb\"\npmd.period = 0\n",
      "optim.shadow.pmd.period",
      3,
      "must be >= 1");
  row("shadow method",
      "[[optim.shadow]]\nname = \"adam\"\n",
      "optim.shadow.name",
      2,
      "one of sgd, adamw");
  row("shadow with agvm",
      "[[optim.shadow]]\nname = \"sgd\"\nagvm.enabled = true\n",
      "optim.shadow.agvm.enabled",
      3,
      "the run's AGVM factors");
  row("shadow in a shadow",
      "[[optim.shadow]]\nname = \"sgd\"\nshadow = []\n",
      "optim.shadow.shadow",
      3,
      "cannot be set in a shadow");
  row("shadows of one name",
      "[[optim.shadow]]\nname = \"sgd\"\n[[optim.shadow]]\nname = \"sgd\"\nlr = 1\n",
      "optim.shadow.label",
      1,
      "found \"sgd\" twice");
  row("shadow label",
      "[[optim.shadow]]\nname = \"sgd\"\nlabel = \"a/b\"\n",
      "optim.shadow.label",
      3,
      "found \"a/b\"");
  row("shadow contradiction",
      "[[optim.shadow]]\nname = \"sgd\"\nnesterov = true\nmomentum = 0\n",
      "optim.shadow.label",
      1,
      "shadow \"sgd\": optim.nesterov needs momentum");
  row("event status",
      "[[events]]\nstep = 1\ncommand = \"status\"\n",
      "events.command",
      3,
      "changes nothing");
}

void TestRunSpec::refusals() {
  QFETCH(QString, toml);
  QFETCH(QString, field);
  QFETCH(int, line);
  QFETCH(QString, mention);
  const Refusal refusal = refusalOf(toml.toStdString());
  QVERIFY2(!refusal.sentence.isEmpty(), "accepted");
  QVERIFY2(refusal.sentence.contains(mention), qPrintable(refusal.sentence));
  if (field != QStringLiteral("events.cmd")) {
    QCOMPARE(refusal.field, field);
  }
  QCOMPARE(refusal.line, line);
  QVERIFY2(!refusal.sentence.contains(QLatin1Char('\n')), qPrintable(refusal.sentence));
}

void TestRunSpec::setValue() {
  RunSpec spec;
  set_value(spec, "optim.name", "lamb");
  set_value(spec, "optim.lr", "5e-3");
  set_value(spec, "optim.lr", "1");
  set_value(spec, "run.name", "two words, = signs");
  set_value(spec, "optim.agvm.enabled", "on");
  set_value(spec, "schedule.steps", "7");
  set_value(spec, "schedule.decay.steps", "[3, 5]");
  QCOMPARE(spec.optim.name, std::string("lamb"));
  QCOMPARE(spec.optim.lr, 1.0);
  QCOMPARE(spec.run.name, std::string("two words, = signs"));
  QVERIFY(spec.optim.agvm.enabled);
  QCOMPARE(get_value(spec, "schedule.steps"), std::string("7"));
  set_value(spec, "schedule.steps", "");
  QVERIFY(!spec.schedule.steps);
  QCOMPARE(get_value(spec, "schedule.steps"), std::string());
  QCOMPARE(get_value(spec, "schedule.decay.steps"), std::string("[3, 5]"));
}

void TestRunSpec::setValueRefuses() {
  RunSpec spec;
  QVERIFY_THROWS_EXCEPTION(SpecError, set_value(spec, "optim.lrr", "1"));
  QVERIFY_THROWS_EXCEPTION(SpecError, set_value(spec, "optim.lr", "abc"));
  QVERIFY_THROWS_EXCEPTION(SpecError, set_value(spec, "optim.lr", ""));
  QVERIFY_THROWS_EXCEPTION(SpecError, set_value(spec, "optim.lr", "-1"));
  QVERIFY_THROWS_EXCEPTION(SpecError, set_value(spec, "batch.micro", "1\n[run]\nname = 3"));
  QCOMPARE(spec, RunSpec{});
}

void TestRunSpec::pathsBecomeAbsolute() {
  const RunSpec spec =
      parse_spec("[data]\nannotations = \"a/train.json\"\nimages = \"/abs/pics\"\n", "/specs/here");
  QCOMPARE(spec.data.annotations, std::string("/specs/here/a/train.json"));
  QCOMPARE(spec.data.images, std::string("/abs/pics"));
  QCOMPARE(spec.data.val_images, std::string());
}

void TestRunSpec::presetsAreValid() {
  const auto names = preset_names();
  QVERIFY(std::find(names.begin(), names.end(), "lab-large-batch") != names.end());
  for (const auto& name : names) {
    const RunSpec spec = load_spec(name);
    QVERIFY2(!spec.run.name.empty(), name.c_str());
    if (spec.data.kind != "coco") {
      validate(spec);
    }
    // Something to watch beside the loss: an evaluation every tenth to fifth of the run.
    const double part =
        spec.eval.every_steps > 0
            ? static_cast<double>(spec.eval.every_steps) / double(resolve(spec, 4096).steps)
            : spec.eval.every_epochs / spec.schedule.epochs.value_or(1);
    QVERIFY2(part >= 0.1 && part <= 0.2, name.c_str());
  }
  RunSpec demo = load_spec("demo");
  demo.run.name.clear();
  demo.eval.every_steps = 0;
  QCOMPARE(demo, RunSpec{});
  const RunSpec lab = load_spec("lab-large-batch");
  QCOMPARE(lab.batch.effective(), 128);
  QCOMPARE(resolve(lab, 4096).steps, 300);
  QCOMPARE(resolve(lab, 4096).warmup_steps, 30);
  QVERIFY_THROWS_EXCEPTION(SpecError, load_spec("no-such-preset"));
}

void TestRunSpec::resolveCountsPictures() {
  RunSpec spec;
  spec.batch = {.micro = 2, .accumulation = 3, .ranks = 2, .loss_normaliser = "per_micro"};
  spec.schedule.images = 100;
  const ResolvedPlan plan = resolve(spec, 50);
  QCOMPARE(plan.effective_batch, 12);
  QCOMPARE(plan.steps, 9);  // 8 of 12 pictures and one of 4
  QCOMPARE(plan.warmup_steps, 1);
  QCOMPARE(plan.warmup_images, 12);
  spec.schedule.images.reset();
  spec.schedule.epochs = 1.5;
  QCOMPARE(resolve(spec, 51).total_images, 77);
}

void TestRunSpec::warmUpLongerThanTheRun() {
  RunSpec spec;
  spec.batch = {.micro = 2, .accumulation = 1, .ranks = 1, .loss_normaliser = "per_micro"};
  spec.schedule.steps = 6;
  QVERIFY(plan_warnings(spec, resolve(spec, 50)).empty());
  const auto warns = [&](std::int64_t steps) {
    const ResolvedPlan plan = resolve(spec, 50);
    QCOMPARE(plan.warmup_steps, steps);
    QCOMPARE(plan.warmup_images, 2 * steps);
    const auto warnings = plan_warnings(spec, plan);
    QCOMPARE(warnings.size(), std::size_t{1});
    QVERIFY2(warnings[0].find("takes " + std::to_string(steps) + " updates, the run 6") !=
                 std::string::npos,
             warnings[0].c_str());
  };
  spec.schedule.warmup.steps = 1000;
  warns(1000);
  spec.schedule.warmup.steps = 6;
  warns(6);
  spec.schedule.warmup.steps.reset();
  spec.schedule.warmup.images = 60;
  warns(30);
  spec.schedule.warmup.images.reset();
  spec.schedule.warmup.epochs = 2;
  warns(50);
  // Numbers that nothing counts to are cut, not wrapped.
  spec.schedule.warmup.epochs = 1e300;
  QCOMPARE(resolve(spec, 50).warmup_steps, std::int64_t{500'000'000'000'000});
  spec.schedule.warmup.epochs.reset();
  spec.schedule.warmup.steps = std::numeric_limits<std::int64_t>::max();
  QCOMPARE(resolve(spec, 50).warmup_steps, std::int64_t{500'000'000'000'000});
}

void TestRunSpec::resolveDefaultsOfShortAndLongRuns() {
  RunSpec spec;
  spec.schedule.steps = 300;
  ResolvedPlan plan = resolve(spec, 4096);
  QCOMPARE(plan.agvm_start, 37);
  QCOMPARE(plan.pmd_period, 42);
  QCOMPARE(plan.pmd_start, 30);
  spec.schedule.steps = 5000;
  plan = resolve(spec, 4096);
  QCOMPARE(plan.agvm_start, 600);
  QCOMPARE(plan.pmd_period, 200);
  QCOMPARE(plan.agvm_stop, std::numeric_limits<std::int64_t>::max());
  spec.optim.agvm.enabled = true;
  spec.optim.agvm.start = 400;
  QVERIFY_THROWS_EXCEPTION(SpecError, resolve(spec, 4096));
}

void TestRunSpec::lrRules_data() {
  // The table of algorithms.md 1.1.
  QTest::addColumn<int>("batch");
  QTest::addColumn<double>("linear");
  QTest::addColumn<double>("root");
  QTest::addColumn<double>("mixed");
  QTest::newRow("16") << 16 << 0.02 << 0.02 << 0.02;
  QTest::newRow("64") << 64 << 0.08 << 0.04 << 0.08;
  QTest::newRow("256") << 256 << 0.32 << 0.08 << 0.22627417;
  QTest::newRow("1056") << 1056 << 1.32 << 0.16248077 << 0.45956501;
}

void TestRunSpec::lrRules() {
  QFETCH(int, batch);
  RunSpec spec;
  spec.optim.lr = 0.02;
  spec.batch.micro = batch;
  const auto lr = [&](const char* rule) {
    spec.optim.lr_rule = rule;
    return resolve(spec, 4096).lr;
  };
  QFETCH(double, linear);
  QFETCH(double, root);
  QFETCH(double, mixed);
  QVERIFY(std::abs(lr("linear") - linear) < 5e-9);
  QVERIFY(std::abs(lr("sqrt") - root) < 5e-9);
  QVERIFY(std::abs(lr("mixed") - mixed) < 5e-9);
  QCOMPARE(lr("none"), 0.02);
}

void TestRunSpec::differences() {
  RunSpec a;
  RunSpec b;
  b.optim.name = "lamb";
  b.schedule.steps = 3;
  b.events.push_back({3, PauseCommand{}});
  const auto list = diff_specs(a, b);
  QCOMPARE(list.size(), 3U);
  QCOMPARE(list[0].key, std::string("optim.name"));
  QCOMPARE(list[0].b, std::string("\"lamb\""));
  QCOMPARE(list[1].a, std::string());
  QCOMPARE(list[2].b, std::string("pause at step 3"));
  QVERIFY(diff_specs(a, a).empty());
}

void TestRunSpec::randomBytesNeverCrash() {
  std::uint64_t state = 42;
  const std::string seed = to_toml(RunSpec{});
  for (int round = 0; round < 2000; ++round) {
    std::string text = seed;
    for (int k = 0; k < 6; ++k) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      text[(state >> 33) % text.size()] = static_cast<char>(state >> 25);
    }
    try {
      validate(parse_spec(text));
    } catch (const SpecError& e) {
      QVERIFY(std::string(e.what()).size() > 5);
    }
  }
}

void TestRunSpec::shadowsOverrideOptim() {
  const RunSpec spec = parse_spec(R"(
[optim]
lr = 0.05
lr_rule = "sqrt"
base_batch = 4
weight_decay = 0.002
[[optim.shadow]]
name = "pmd_lamb"
lr = 0.01
lr_rule = "none"
[optim.shadow.pmd]
period = 50
[[optim.shadow]]
name = "adamw"
label = "adamw.slow"
betas = [0.9, 0.98]
)");
  QCOMPARE(spec.optim.shadow.size(), std::size_t{2});
  QCOMPARE(spec.optim.shadow[0].label, std::string("pmd_lamb"));
  const RunSpec first = shadow_spec(spec, spec.optim.shadow[0]);
  QCOMPARE(first.optim.name, std::string("pmd_lamb"));
  QCOMPARE(first.optim.pmd.period.value(), std::int64_t{50});
  QCOMPARE(first.optim.weight_decay, 0.002);
  QVERIFY(first.optim.shadow.empty());
  const ResolvedPlan plan = resolve(first, 100);
  QCOMPARE(plan.lr, 0.01);
  QCOMPARE(plan.eps, 1e-6);
  const RunSpec second = shadow_spec(spec, spec.optim.shadow[1]);
  QCOMPARE(second.optim.betas[1], 0.98);
  QCOMPARE(resolve(second, 100).lr, 0.05 * std::sqrt(2.0));
  QCOMPARE(parse_spec(to_toml(spec)), spec);
  const auto different = diff_specs(spec, RunSpec{});
  QVERIFY(std::any_of(different.begin(), different.end(), [](const SpecDifference& d) {
    return d.key == "optim.shadow";
  }));
}

void TestRunSpec::shadowsKeepTheirSettings() {
  RunSpec old;
  old.optim.shadow = {make_shadow("lamb", "", {{"optim.lr", "0.01"}}), make_shadow("sgd", "s", {})};
  RunSpec next = old;
  next.optim.name = "adamw";
  next.optim.lr = 0.5;
  next.optim.momentum = 0.5;
  next.optim.agvm.enabled = true;
  keep_shadows(old, next);
  const OptimSection lamb = shadow_spec(next, next.optim.shadow[0]).optim;
  QCOMPARE(lamb.name, std::string("lamb"));
  QCOMPARE(lamb.lr, 0.01);
  QCOMPARE(lamb.momentum, 0.9);
  const OptimSection sgd = shadow_spec(next, next.optim.shadow[1]).optim;
  QCOMPARE(sgd.lr, old.optim.lr);
  QCOMPARE(sgd.momentum, 0.9);
  validate(next);
  QCOMPARE(parse_spec(to_toml(next)), next);
}

void TestRunSpec::shadowsFromArguments() {
  const ShadowSpec shadow = make_shadow("lamb", "hot", {{"optim.lr", "1"}, {"optim.eps", ""}});
  QCOMPARE(shadow.label, std::string("hot"));
  QCOMPARE(shadow.set.at("lr"), std::string("1.0"));
  QCOMPARE(shadow.set.at("name"), std::string("\"lamb\""));
  QVERIFY(!shadow.set.contains("eps"));
  RunSpec spec;
  set_value(spec, "optim.shadow", "[{ name = \"lamb\", label = \"hot\", lr = 1 }]");
  QCOMPARE(spec.optim.shadow, std::vector<ShadowSpec>{shadow});
  QVERIFY_THROWS_EXCEPTION(SpecError, make_shadow("lamb", "", {{"batch.micro", "1"}}));
  QVERIFY_THROWS_EXCEPTION(SpecError, make_shadow("lamb", "", {{"optim.agvm.enabled", "on"}}));
  QVERIFY_THROWS_EXCEPTION(SpecError, make_shadow("adam", "", {}));
  set_value(spec, "optim.shadow", "[]");
  QVERIFY(spec.optim.shadow.empty());
}

BATCHSCOPE_TEST(TestRunSpec)
#include "tst_run_spec.moc"
