#pragma once

#include "engine/contract/run_spec.h"
#include "storage/run_files.h"
#include "storage/run_lock.h"
#include "storage/run_writer.h"
#include "storage/sqlite.h"

#include <QBuffer>
#include <QDir>
#include <QFile>
#include <QImage>
#include <QJsonDocument>
#include <QJsonObject>
#include <QLocalServer>
#include <QLocalSocket>
#include <QPainter>

#include <cmath>
#include <filesystem>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <unistd.h>

namespace batchscope::test {

/// A training as an engine writes it, made up: every series the pages show, an optimizer switch at
/// step 200 that is undone at 240 (so that an abandoned branch exists), AGVM from step 260, one NaN
/// in the loss, evaluations every 50 steps, four pictures.
class SampleRun {
 public:
  static constexpr int kSwitch = 200, kUndo = 240, kAgvm = 260, kNaN = 120;

  SampleRun(const std::filesystem::path& library,
            const std::string& id,
            const std::string& name,
            int steps = 400,
            double lr = 0.05)
      : steps_(steps), lr_(lr), random_(static_cast<unsigned>(std::hash<std::string>()(id))) {
    folder_ = storage::run_folder(library, id);
    std::filesystem::create_directories(folder_ / "logs");
    lock_ = std::make_unique<storage::RunLock>(folder_);
    contract::RunSpec spec;
    spec.run.name = name;
    spec.optim.lr = lr;
    spec.batch = {8, 16, 1, "per_micro"};
    info_.id = id;
    info_.name = name;
    info_.spec_toml = contract::to_toml(spec);
    info_.engine_version = "test";
    info_.modules = {"backbone", "neck", "rpn_head", "roi_head"};
    info_.classes = {"square", "disc", "triangle"};
    info_.steps = steps;
    info_.total_images = steps * 128;
    info_.started = storage::now_utc();
    writer_ = std::make_unique<storage::RunWriter>(folder_, info_, false);
    add_series();
    segment(0, -1, 0, -1, "start");
    pictures();
    status(contract::RunState::kRunning);
    QFile log(path() + QStringLiteral("/logs/rank0.log"));
    if (log.open(QIODevice::WriteOnly)) {
      log.write("rank 0 of 1 on cpu\n");
    }
  }

  /// What the evaluations give: "boxes", "semantic" or "panoptic".
  void task(const char* name) { task_ = name; }

  /// All steps with their story.
  void write() {
    event("start", 0, "Training starts.", {});
    rows(1, std::min(steps_, kUndo));
    if (steps_ > kUndo) {
      segment(0, -1, 0, kSwitch, "start");
      segment(1, 0, kSwitch, -1, "undo");
      optimizer_ = "sgd";
      event("undo", kSwitch, "Back to step 200: the switch to LAMB was undone.", {});
      rows(kSwitch + 1, steps_);
    }
    writer_->commit();
  }

  void rows(int first, int last) {
    for (int step = first; step <= last; ++step) {
      row(step);
      if (step == kSwitch && segment_ == 0) {
        optimizer_ = "lamb";
        event("optimizer",
              step,
              "Optimizer sgd -> lamb, learning rate 0.05 -> 0.02.",
              {{"name", "lamb"},
               {"old", "sgd"},
               {"new", "lamb"},
               {"old_lr", "0.05"},
               {"new_lr", "0.02"}});
      }
      if (step == kAgvm && segment_ == 1) {
        agvm_ = true;
        event("optimizer",
              step,
              "AGVM was switched on.",
              {{"agvm", "on"}, {"old", "sgd"}, {"new", "sgd + agvm"}});
      }
      if (step == kNaN) {
        event("nonfinite",
              step,
              "The loss was not finite at step 120 (roi_head); the update was skipped.",
              {});
      }
      if (step % 50 == 0) {
        evaluate(step);
      }
    }
    writer_->commit();
  }

  void finish(contract::RunState state = contract::RunState::kFinished) {
    event("finish", step_, "Training ends.", {});
    status(state);
    writer_->finish(state, state == contract::RunState::kFailed ? 6 : 0);
    writer_.reset();
    lock_.reset();
  }

  void event(const char* kind,
             int step,
             const std::string& text,
             const std::map<std::string, std::string>& args) {
    contract::EventRecord record;
    record.segment = segment_;
    record.step = step;
    record.seq = seq_;
    record.time = storage::now_utc();
    record.kind = kind;
    record.source = "user";
    record.text = text;
    record.args = args;
    writer_->event(record);
  }

  contract::StatusReport report(contract::RunState state) const {
    contract::StatusReport report;
    report.run_id = info_.id;
    report.state = state;
    report.step = step_;
    report.steps = steps_;
    report.images = step_ * 128;
    report.committed_seq = seq_;
    report.optimizer = optimizer_;
    report.agvm = agvm_;
    report.lr = lr_;
    report.lr_in_use = lr_ * inUse_;
    report.micro = 8;
    report.accumulation = 16;
    report.ranks = 1;
    report.phase = "training";
    report.trouble = trouble_;
    return report;
  }
  void status(contract::RunState state) {
    writer_->status(report(state));
    writer_->commit();
  }
  void setOptimizer(const std::string& name, bool agvm) {
    optimizer_ = name;
    agvm_ = agvm;
  }
  void setLr(double lr) { lr_ = lr; }
  /// What warm-up and decay make of the base rate in the reports.
  void setInUse(double factor) { inUse_ = factor; }
  /// What hinders the training from now on; empty: nothing.
  void setTrouble(const std::string& sentence) { trouble_ = sentence; }

  /// The engine is gone without a word: its lock is free, and its file ends as it was.
  void loseEngine() {
    writer_.reset();
    lock_.reset();
    // Long ago.
    storage::Database(folder_ / storage::kRunFile, storage::Database::Mode::kReadWrite)
        .execute("UPDATE state SET heartbeat_unix = heartbeat_unix - 100");
  }

  QString path() const { return QString::fromStdString(folder_.string()); }
  QString file() const { return path() + QStringLiteral("/run.sqlite"); }
  int step() const { return step_; }
  storage::RunWriter& writer() { return *writer_; }

 private:
  void add_series() {
    std::vector<contract::SeriesInfo> all = {
        {"loss", "", "", "mean loss over the pictures of the update"},
        {"loss/rpn_objectness", "", "", ""},
        {"loss/rpn_box_reg", "", "", ""},
        {"loss/classifier", "", "", ""},
        {"loss/box_reg", "", "", ""},
        {"lr", "", "", ""},
        {"images_per_s", "1/s", "", ""},
        {"diagnostics_percent", "%", "", ""},
        {"pmd_c", "", "", ""},
        {"beta1_eff", "", "", ""},
        {"beta2_eff", "", "", ""},
        {"n_eff_m", "", "", ""},
        {"n_eff_v", "", "", ""},
        {"horizon_m", "", "", ""},
        {"horizon_v", "", "", ""},
        {"shadow_ms", "ms", "", ""}};
    first_module_ = static_cast<int>(all.size());
    for (const char* family : {"d",
                               "noise",
                               "mu",
                               "m_norm",
                               "v_norm",
                               "trust",
                               "grad_norm",
                               "noise_pre",
                               "phi",
                               "clamped",
                               "update_norm",
                               "lr_eff",
                               "shadow/lamb/cos",
                               "shadow/lamb/update_norm",
                               "shadow/lamb/lr_eff",
                               "shadow/adamw/cos",
                               "shadow/adamw/update_norm",
                               "shadow/adamw/lr_eff"}) {
      for (const std::string& module : info_.modules) {
        all.push_back({std::string(family) + "/" + module, "", module, ""});
      }
    }
    writer_->add_series(all);
  }

  double noise(double size) { return size * std::normal_distribution<double>()(random_); }

  void row(int step) {
    step_ = step;
    contract::StepRecord record;
    record.seq = ++seq_;
    record.segment = segment_;
    record.step = step;
    record.images = step * 128;
    record.seconds = (seconds_ += 0.031);
    const double t = static_cast<double>(step) / steps_;
    const bool lamb = optimizer_ == "lamb";
    const double warm = std::min(1.0, step / 40.0);
    const double lr = (lamb ? 0.4 : 1.0) * lr_ * warm * 0.5 * (1 + std::cos(3.14159 * t));
    const double base = 1.9 * std::exp(-3.2 * t) + 0.32 + (lamb ? 0.25 : 0) + (agvm_ ? -0.04 : 0);
    double total = 0;
    const double shares[4] = {0.22, 0.12, 0.40, 0.26};
    for (int part = 0; part < 4; ++part) {
      const double value = std::max(1e-3, shares[part] * base * (1 + noise(0.08)));
      record.values.push_back({1 + part, value});
      total += value;
    }
    record.values.push_back({0, step == kNaN ? std::numeric_limits<double>::quiet_NaN() : total});
    record.values.push_back({5, lr});
    record.values.push_back({6, 4100 * (1 + noise(0.05))});
    record.values.push_back({7, 1.4});
    const double c = lamb ? 0.5 * (1 + std::cos(0.15 * step)) : 1.0;
    record.values.push_back({8, c});
    record.values.push_back({9, 0.9 * c});
    record.values.push_back({10, 0.999 * c});
    record.values.push_back({11, 1 / (1 - 0.9 * c + 1e-3)});
    record.values.push_back({12, 1 / (1 - 0.999 * c + 1e-4)});
    record.values.push_back({13, 1 / (1 - 0.9 * c)});
    record.values.push_back({14, 1 / (1 - 0.999 * c)});
    record.values.push_back({15, 2.1 + std::abs(noise(0.1))});
    const double scale[4] = {420, 95, 9, 30};
    const int modules = 4;
    for (int m = 0; m < modules; ++m) {
      const double bn = scale[m] * (0.4 + 1.6 * t) * std::exp(noise(0.10));
      const auto at = [&](int family) { return first_module_ + family * modules + m; };
      if (step % 2 == 0) {
        record.values.push_back(
            {at(0), std::min(1.3, 2 * bn / (128 + 2 * bn) * std::exp(noise(0.12)))});
        record.values.push_back({at(1), bn});
        record.values.push_back({at(7), 0.7 * bn});
        record.values.push_back({at(8), lr * lr * 0.3 * (m + 1)});
      }
      record.values.push_back({at(10), 0.02 * lr * (m + 1)});
      record.values.push_back({at(11), lr});
      for (int shadow = 0; shadow < 2; ++shadow) {
        const int first = 12 + 3 * shadow;
        record.values.push_back({at(first), 0.8 - 0.3 * shadow + noise(0.05)});
        record.values.push_back({at(first + 1), 0.03 * lr * (m + 1 + shadow)});
        record.values.push_back({at(first + 2), 0.1 * lr * (m + 1)});
      }
      if (agvm_) {
        record.values.push_back(
            {at(2), m == 0 ? 1.0 : 1 + (0.2 + 0.3 * m) * (1 - std::exp(-(step - kAgvm) / 40.0))});
      }
      record.values.push_back({at(3), 0.08 * (m + 1) * std::exp(-1.5 * t) * std::exp(noise(0.1))});
      if (lamb) {
        record.values.push_back({at(4), 0.004 * (m + 1) * std::exp(noise(0.1))});
        record.values.push_back({at(5), 1.2 + m + noise(0.05)});
        record.values.push_back({at(9), static_cast<double>(m % 2)});
      }
      record.values.push_back({at(6), 0.7 * (m + 1) * std::exp(-t) * std::exp(noise(0.2))});
    }
    writer_->step(record);
  }

  void evaluate(int step) {
    contract::EvalRecord record;
    record.segment = segment_;
    record.step = step;
    record.images = step * 128;
    record.seconds = seconds_;
    record.pictures = 512;
    const double ap = 0.33 * (1 - std::exp(-3.0 * step / steps_)) + noise(0.004);
    if (task_ != "semantic") {
      record.metrics = {{"AP", ap}, {"AP50", std::min(1.0, 1.9 * ap)}, {"AP75", 0.8 * ap}};
    }
    if (task_ == "panoptic") {
      record.metrics["PQ"] = 1.3 * ap;
    }
    if (task_ != "boxes") {
      record.metrics["mIoU"] = 2 * ap;
    }
    writer_->eval(record);
    for (int probe = 0; probe < 4; ++probe) {
      contract::PredictionRecord prediction;
      prediction.probe = probe;
      prediction.segment = segment_;
      prediction.step = step;
      const float off = static_cast<float>(6.0 * std::exp(-3.0 * step / steps_));
      prediction.boxes = {{20 + off, 22, 60 + off, 62, 1, 0.92f},
                          {70, 64 - off, 104, 98 - off, 2, 0.71f},
                          {5, 80, 30, 110, 3, 0.22f}};
      writer_->prediction(prediction);
    }
  }

  void pictures() {
    for (int probe = 0; probe < 4; ++probe) {
      QImage image(128, 128, QImage::Format_RGB32);
      for (int y = 0; y < 128; ++y) {
        for (int x = 0; x < 128; ++x) {
          const int grey = std::clamp(static_cast<int>(90 + noise(14)), 0, 255);
          image.setPixel(x, y, qRgb(grey, grey, grey));
        }
      }
      QPainter painter(&image);
      painter.setPen(Qt::NoPen);
      painter.setBrush(QColor(200, 90 + 30 * probe, 60));
      painter.drawRect(20, 22, 40, 40);
      painter.setBrush(QColor(70, 140, 210));
      painter.drawEllipse(70, 64, 34, 34);
      painter.end();
      QByteArray png;
      QBuffer buffer(&png);
      buffer.open(QIODevice::WriteOnly);
      image.save(&buffer, "PNG");
      contract::ProbeRecord record;
      record.probe = probe;
      record.name = "val/" + std::to_string(probe);
      record.width = record.height = 128;
      record.png = png.toStdString();
      record.truth = {{20, 22, 60, 62, 1, 1}, {70, 64, 104, 98, 2, 1}};
      writer_->probe(record);
    }
  }

  void segment(int number, int parent, int start, int abandoned_after, const char* reason) {
    contract::SegmentRecord record;
    record.segment = number;
    record.parent = parent;
    record.start_step = start;
    record.abandoned_after = abandoned_after;
    record.reason = reason;
    writer_->segment(record);
    segment_ = number;
    step_ = start;
  }

  std::filesystem::path folder_;
  contract::RunInfo info_;
  std::unique_ptr<storage::RunLock> lock_;
  std::unique_ptr<storage::RunWriter> writer_;
  int steps_, step_ = 0, segment_ = 0, first_module_ = 0;
  std::int64_t seq_ = 0;
  double lr_, seconds_ = 0, inUse_ = 1;
  bool agvm_ = false;
  std::string task_ = "boxes", optimizer_ = "sgd";
  std::string trouble_;
  std::mt19937 random_;
};

/// Answers the line protocol for a SampleRun as a test says; speaks first only in replies.
class FakeEngine : public QObject {
 public:
  /// What to answer to a command; hello and status are answered by themselves.
  using Answer = std::function<contract::Reply(const contract::Command&)>;

  explicit FakeEngine(SampleRun& run, Answer answer) : run_(run), answer_(std::move(answer)) {
    const QString name =
        QDir::tempPath() + QStringLiteral("/bsv-%1-%2").arg(getpid()).arg(quintptr(this), 0, 16);
    QLocalServer::removeServer(name);
    server_.listen(name);
    QFile file(run.path() + QStringLiteral("/control.json"));
    if (file.open(QIODevice::WriteOnly)) {
      const QJsonObject object{{QStringLiteral("socket"), server_.fullServerName()},
                               {QStringLiteral("pid"), qint64(getpid())},
                               {QStringLiteral("protocol"), contract::kProtocolVersion}};
      file.write(QJsonDocument(object).toJson());
    }
    connect(&server_, &QLocalServer::newConnection, this, [this] {
      socket_ = server_.nextPendingConnection();
      connect(socket_, &QLocalSocket::readyRead, this, &FakeEngine::read);
    });
  }

  /// Answers that are held back until release().
  bool hold = false;
  void release() {
    hold = false;
    const auto held = std::exchange(held_, {});
    for (const contract::Command& command : held) {
      reply(command);
    }
  }
  void say(const contract::Report& report) {
    if (socket_ != nullptr) {
      socket_->write(QByteArray::fromStdString(contract::encode(report)) + '\n');
      socket_->flush();
    }
  }
  QList<contract::Command> commands;

 private:
  void read() {
    while (socket_->canReadLine()) {
      const contract::Command command =
          contract::decode_command(socket_->readLine().trimmed().toStdString());
      const bool hello = std::holds_alternative<contract::HelloCommand>(command.body);
      if (hello || std::holds_alternative<contract::StatusCommand>(command.body)) {
        contract::Reply answer;
        answer.id = command.id;
        answer.ok = true;
        answer.protocol = hello ? contract::kProtocolVersion : 0;
        answer.engine = hello ? "test" : "";
        answer.status = run_.report(contract::RunState::kRunning);
        say(answer);
        continue;
      }
      commands.append(command);
      if (hold) {
        say(contract::PendingNotice{command.id, contract::command_name(command.body)});
        held_.append(command);
      } else {
        reply(command);
      }
    }
  }
  void reply(const contract::Command& command) {
    contract::Reply answer = answer_(command);
    answer.id = command.id;
    say(answer);
    say(contract::StateNotice{run_.report(contract::RunState::kRunning)});
  }

  SampleRun& run_;
  Answer answer_;
  QLocalServer server_;
  QLocalSocket* socket_ = nullptr;
  QList<contract::Command> held_;
};

}  // namespace batchscope::test
