#include "ui/session/run_session.h"

#include "ui/session/command_log.h"
#include "ui/session/convert.h"
#include "ui/session/engine_client.h"
#include "ui/session/eval_model.h"
#include "ui/session/event_model.h"
#include "ui/session/playhead.h"
#include "ui/session/playhead_status.h"
#include "ui/session/run_store.h"
#include "ui/session/run_worker.h"

#include <QFileInfo>

#include <algorithm>
#include <cmath>
#include <limits>

namespace batchscope::session {

namespace {

// Notices of the engine come up to some hundred times a second; the file is read at most this
// often.
constexpr int kNoticeMs = 100;

}  // namespace

RunSession::RunSession(QObject* parent, std::function<qint64()> clock)
    : QObject(parent),
      playhead_(new Playhead(this, std::move(clock))),
      client_(new EngineClient(this)),
      log_(new CommandLog(this)),
      eventModel_(new EventModel(this)),
      evalModel_(new EvalModel(this)) {
  log_->follow(client_);
  noticeTimer_.setSingleShot(true);
  noticeTimer_.setInterval(kNoticeMs);
  connect(&noticeTimer_, &QTimer::timeout, this, &RunSession::poll);
  connect(client_, &EngineClient::committed, this, [this] {
    if (!noticeTimer_.isActive())
      noticeTimer_.start();
  });
  connect(client_, &EngineClient::applied, this, &RunSession::poll);
  connect(client_, &EngineClient::statusReceived, this, [this](const contract::StatusReport& now) {
    report_ = now;
    refreshStatus();
  });
  connect(client_, &EngineClient::stateChanged, this, [this](EngineClient::State state) {
    if (state != EngineClient::State::kAttached)
      report_.reset();
    else
      engineFault_.clear();  // another engine
    refreshStatus();
  });
  connect(log_, &CommandLog::pendingChanged, this, &RunSession::pendingChanged);
  connect(playhead_, &Playhead::positionChanged, this, &RunSession::onPlayhead);
  connect(playhead_, &Playhead::followingChanged, this, &RunSession::onPlayhead);
}

RunSession::~RunSession() {
  close();
  for (const auto& thread : retired_)
    thread->wait();
}

void RunSession::open(const QString& path) {
  close();
  path_ = QFileInfo(path).absoluteFilePath();
  store_ = std::make_shared<RunStore>();
  worker_ = new RunWorker(path_, store_, ++generation_, pollMs_);
  thread_ = std::make_shared<QThread>();
  worker_->moveToThread(thread_.get());
  connect(thread_.get(), &QThread::started, worker_, &RunWorker::start);
  connect(thread_.get(), &QThread::finished, worker_, &QObject::deleteLater);
  connect(worker_, &RunWorker::updated, this, &RunSession::onUpdate);
  connect(worker_, &RunWorker::curvesReady, this, [this](quint64 generation) {
    if (generation == generation_)
      Q_EMIT dataChanged();
  });
  connect(worker_,
          &RunWorker::probesReady,
          this,
          [this](quint64 generation, const QList<ProbeItem>& probes) {
            if (generation != generation_)
              return;
            probes_ = probes;
            Q_EMIT probesChanged();
          });
  connect(worker_, &RunWorker::failed, this, [this](quint64 generation, const QString& sentence) {
    if (generation == generation_)
      onFailed(sentence);
  });
  setState(State::kOpening);
  thread_->start();
}

void RunSession::close() {
  if (thread_) {
    // The reader may be inside a query: it is waited for when this object goes, not here.
    worker_->cancel();
    worker_->disconnect(this);
    thread_->quit();
    retired_.append(thread_);
    thread_.reset();
    worker_ = nullptr;
  }
  erase_if(retired_, [](const auto& thread) { return thread->isFinished(); });
  ++generation_;
  client_->detach();
  noticeTimer_.stop();
  store_ = std::make_shared<RunStore>();
  path_.clear();
  failure_.clear();
  engineFault_.clear();
  info_ = {};
  fileStatus_ = status_ = start_ = {};
  report_.reset();
  series_.clear();
  seriesIndex_.clear();
  events_.clear();
  evals_.clear();
  states_.clear();
  probes_.clear();
  predicted_.clear();
  probesAt_.reset();
  playhead_->setDuration(0, false);
  playhead_->followLive();
  eventModel_->setEvents({});
  evalModel_->setEvals({});
  setState(State::kClosed);
}

void RunSession::setState(State state) {
  if (state == state_)
    return;
  state_ = state;
  Q_EMIT stateChanged(state_);
}

void RunSession::setPollInterval(int ms) {
  pollMs_ = ms;
  if (worker_)
    QMetaObject::invokeMethod(worker_, [worker = worker_, ms] { worker->setInterval(ms); });
}

void RunSession::poll() {
  if (worker_)
    QMetaObject::invokeMethod(worker_, &RunWorker::poll, Qt::QueuedConnection);
}

void RunSession::onUpdate(const RunUpdate& update) {
  if (update.generation != generation_)
    return;
  failure_.clear();
  if (update.info) {
    info_ = *update.info;
    start_ = startOf(info_);
  }
  if (update.series) {
    series_ = *update.series;
    seriesIndex_.clear();
    for (int i = 0; i < series_.size(); ++i)
      seriesIndex_.insert(series_[i].name, i);
  }
  events_ += update.newEvents;
  evals_ += update.newEvals;
  takePredicted(update);
  if (update.states)
    states_ = *update.states;
  if (update.status)
    fileStatus_ = *update.status;
  if (update.rows || !update.newEvents.isEmpty() || !update.newEvals.isEmpty())
    markUndone();
  refreshStatus();
  if (update.info || update.series)
    Q_EMIT infoChanged();
  const auto following = playhead_->isFollowing();
  const auto before = playhead_->duration();
  playhead_->setDuration(store_->duration(), fileStatus_.isLive());
  const bool moved = following && playhead_->duration() != before;
  if (moved)
    return;  // onPlayhead has refreshed all
  if (!update.newEvents.isEmpty() || !update.newEvals.isEmpty() || update.rows)
    refreshLists();
  else
    requestProbes();
  if (update.rows || update.series || !update.newEvals.isEmpty())
    Q_EMIT dataChanged();
}

void RunSession::onFailed(const QString& sentence) {
  failure_ = sentence;
  if (store_->rows() == 0)
    setState(State::kFailed);
  Q_EMIT failed(sentence);
}

void RunSession::refreshStatus() {
  auto next = fileStatus_;
  if (report_ && client_->canControl()) {
    next.state = report_->state;
    next.word = stateWord(next.state);
    next.phase = fromStd(report_->phase);
    next.evidence = QStringLiteral("the engine answers");
    addReport(next, *report_);
    next.lrInUse = report_->lr_in_use;
  }
  status_ = next;
  if (state_ != State::kClosed && !info_.id.isEmpty()) {
    const bool live = fileStatus_.isLive();
    if (live && QFileInfo(path_).isDir()) {
      if (client_->state() == EngineClient::State::kDetached)
        client_->attach(path_);
    } else if (client_->state() != EngineClient::State::kDetached) {
      client_->detach();
    }
    if (store_->rows() == 0)
      setState(live ? State::kWaiting : State::kStored);
    else
      setState(live ? State::kLive : State::kStored);
  }
  Q_EMIT statusChanged();
}

void RunSession::onPlayhead() {
  refreshLists();
  Q_EMIT dataChanged();
}

std::int64_t RunSession::rowLimit() const {
  return playhead_->isFollowing() ? store_->rows() : store_->rowsUpTo(playhead_->position());
}

StatusItem RunSession::statusAtPlayhead() {
  auto status = status_;
  const bool now = playhead_->isFollowing();
  if (!now) {
    const auto then = inForce(start_, events(), info_.totalImages);
    status.optimizer = then.optimizer;
    status.agvm = then.agvm;
    status.lr = then.lr;
    status.micro = then.micro;
    status.accumulation = then.accumulation;
    status.ranks = then.ranks;
    status.steps = then.steps;
    status.etaSeconds = std::numeric_limits<double>::quiet_NaN();
    status.imagesPerSecond = sampleAtPlayhead(QStringLiteral("images_per_s")).value;
  }
  if (const auto row = playheadSample(); row.valid) {
    status.step = row.step;
    status.images = row.images;
  } else if (!now) {
    status.step = status.images = 0;
  }
  if (!now || std::isnan(status.lrInUse))
    status.lrInUse = sampleAtPlayhead(QStringLiteral("lr")).value;
  return status;
}

SampleItem RunSession::sampleAtPlayhead(const QString& series) {
  SampleItem none;
  none.value = std::numeric_limits<double>::quiet_NaN();
  const auto row = playheadSample();
  if (!row.valid || !hasSeries(series))
    return none;
  const auto step = static_cast<double>(row.step);
  // Asking for the view has the samples read.
  view(series, XKind::kStep, step, step, 1);
  const auto sample = nearest(series, XKind::kStep, step);
  return sample.valid ? sample : none;
}

std::int64_t RunSession::newestStep() const {
  const auto row = store_->liveRowOfStep(std::numeric_limits<std::int64_t>::max(), store_->rows());
  return row < 0 ? status_.step : store_->rowItem(row).step;
}

void RunSession::setEngineFault(const QString& sentence) {
  engineFault_ = sentence;
  Q_EMIT statusChanged();
}

bool RunSession::canControl() const {
  return client_->canControl();
}

qint64 RunSession::sendCommand(const contract::CommandBody& body) {
  return client_->send(body);
}

}  // namespace batchscope::session
