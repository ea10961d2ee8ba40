#include "ui/session/run_worker.h"

#include "engine/contract/error.h"
#include "storage/catalogue.h"
#include "storage/run_files.h"
#include "storage/run_reader.h"
#include "ui/session/convert.h"

#include <QFileInfo>

#include <algorithm>

namespace batchscope::session {

namespace {

constexpr int kStatusEveryMs = 1000;
constexpr int kStoredPollMs = 2000;
constexpr int kOpeningPatienceMs = 60000;
// An engine that makes its file this moment is not a damaged file.
constexpr int kMakingPatienceMs = 2000;

bool isRunFolder(const QString& path) {
  return QFileInfo(path).isDir();
}

}  // namespace

RunWorker::RunWorker(const QString& path,
                     std::shared_ptr<RunStore> store,
                     quint64 generation,
                     int pollMs)
    : path_(path), store_(std::move(store)), generation_(generation), pollMs_(pollMs) {}

RunWorker::~RunWorker() = default;

void RunWorker::start() {
  timer_ = new QTimer(this);
  timer_->setSingleShot(true);
  connect(timer_, &QTimer::timeout, this, &RunWorker::poll);
  opening_.start();
  poll();
}

void RunWorker::setInterval(int ms) {
  pollMs_ = ms;
  if (timer_ && timer_->isActive())
    schedule();
}

void RunWorker::schedule() {
  // A finished file under another name never changes; a run folder may be resumed.
  if (!live_ && !isRunFolder(path_))
    return;
  timer_->start(live_ ? pollMs_ : std::max(pollMs_, kStoredPollMs));
}

void RunWorker::report(const QString& sentence) {
  if (sentence == lastFailure_)
    return;
  lastFailure_ = sentence;
  if (!sentence.isEmpty())
    Q_EMIT failed(generation_, sentence);
}

bool RunWorker::openReader() {
  if (reader_)
    return true;
  const QFileInfo place(path_);
  const auto has = [this](const char* name) {
    return QFileInfo::exists(path_ + QLatin1Char('/') + QLatin1String(name));
  };
  // A prepared run may wait for its turn as long as it likes.
  const bool coming = place.isDir() && !has(storage::kRunFile) &&
                      (has(storage::kSpecFile) || opening_.elapsed() < kOpeningPatienceMs);
  if (coming)
    return false;
  reader_ = std::make_unique<storage::RunReader>(toPath(path_),
                                                 storage::ReadLimits{.cancelled = &cancelled_});
  return true;
}

void RunWorker::poll() {
  if (cancelled_)
    return;
  try {
    if (openReader())
      pollOnce();
    report({});
  } catch (const std::exception& error) {
    if (cancelled_)
      return;
    live_ = isRunFolder(path_);
    const bool beingMade = live_ && !infoSent_ && opening_.elapsed() < kMakingPatienceMs;
    if (beingMade)
      reader_.reset();
    else
      report(QString::fromUtf8(error.what()));
  }
  schedule();
}

void RunWorker::pollOnce() {
  RunUpdate& update = pending_;
  update.generation = generation_;
  if (!infoSent_) {
    update.info = runItem(reader_->info(), path_);
    classes_ = update.info->classes;
    totalImages_ = update.info->totalImages;
    infoSent_ = true;
  }
  const auto series = reader_->series();
  if (static_cast<qsizetype>(series.size()) != seriesKnown_) {
    seriesKnown_ = static_cast<qsizetype>(series.size());
    update.series = seriesItems(series);
  }
  update.rows = readRows() || update.rows;
  readTables(update);
  readStatus(update);
  for (const auto& key : store_->watched()) {
    if (cancelled_)
      return;
    extendRaw({key.series, 0});
    if (key.thousandths > 0)
      extendSmoothed(key);
  }
  const bool news = update.info || update.series || update.status || update.rows ||
                    update.pictures || !update.newEvents.isEmpty() || !update.newEvals.isEmpty() ||
                    !update.newPredictions.isEmpty();
  if (news)
    Q_EMIT updated(update);
  pending_ = {};
  readProbes();  // what an earlier read failed to give
}

bool RunWorker::readRows() {
  const auto& axis = store_->axis();
  storage::RowAxis read;
  reader_->read_axis(axis.seq.empty() ? -1 : axis.seq.back(), read);
  // Rows first, then the segments: a row's segment is never unknown.
  const auto segmentsBefore = segmentsKnown_;
  readSegments();
  AxisColumns block;
  block.seq = std::move(read.seq);
  block.segment = std::move(read.segment);
  block.step = std::move(read.step);
  block.images = std::move(read.images);
  block.seconds = std::move(read.seconds);
  if (!block.seq.empty())
    store_->appendAxis(block);
  return !block.seq.empty() || segmentsKnown_ != segmentsBefore;
}

void RunWorker::readSegments() {
  std::vector<SegmentRows> segments;
  for (const auto& record : reader_->segments()) {
    SegmentRows rows;
    rows.segment = record.segment;
    rows.parent = record.parent;
    rows.startStep = record.start_step;
    segments.push_back(rows);
  }
  if (segments.size() == segmentsKnown_)
    return;
  segmentsKnown_ = segments.size();
  std::sort(segments.begin(), segments.end(), [](const SegmentRows& a, const SegmentRows& b) {
    return a.segment < b.segment;
  });
  store_->setSegments(std::move(segments));
}

void RunWorker::readTables(RunUpdate& update) {
  for (const auto& event : reader_->events(lastEvent_)) {
    lastEvent_ = std::max(lastEvent_, event.id);
    update.newEvents.append(eventItem(event.id, event.record));
  }
  for (const auto& eval : reader_->evals(lastEval_)) {
    lastEval_ = std::max(lastEval_, eval.id);
    update.newEvals.append(evalItem(eval.id, eval.record));
  }
  readPredicted(update);
}

void RunWorker::readStatus(RunUpdate& update) {
  const bool due = !statusAge_.isValid() || statusAge_.elapsed() >= kStatusEveryMs;
  if (!due && !update.rows)
    return;
  StatusItem status;
  if (due) {
    statusAge_.start();
    status = statusItem(storage::summarise(toPath(path_)));
    live_ = status.isLive();
    status_ = status;
  } else {
    status = status_;
  }
  addReport(status, reader_->state().report);
  status.totalImages = totalImages_;
  addPace(status, store_->axis());
  update.status = status;
  if (due)
    readStates(update);
}

void RunWorker::readStates(RunUpdate& update) {
  QList<StateFileItem> states;
  if (isRunFolder(path_)) {
    for (const auto& record : reader_->checkpoints()) {
      if (QFileInfo::exists(path_ + QLatin1Char('/') + fromStd(record.file)))
        states.append({record.segment, record.step, record.kind == "checkpoint"});
    }
  }
  update.states = states;
}

std::int64_t RunWorker::rowOfStep(std::int64_t segment, std::int64_t step) const {
  const auto& axis = store_->axis();
  for (const auto& rows : store_->segments()) {
    if (rows.segment != segment || rows.firstRow < 0)
      continue;
    const auto first = axis.step.begin() + rows.firstRow;
    const auto last = axis.step.begin() + rows.endRow;
    return std::upper_bound(first, last, step) - axis.step.begin() - 1;
  }
  return -1;
}

EventItem RunWorker::eventItem(std::int64_t id, const contract::EventRecord& record) const {
  const auto& axis = store_->axis();
  auto item = convertEvent(id, record);
  const auto row = axis.rowOfSeq(record.seq);
  if (row < 0)
    return item;
  item.seconds = axis.seconds[static_cast<std::size_t>(row)];
  item.playSeconds = axis.play[static_cast<std::size_t>(row)];
  // An undo stands at the step that it went back to, not at the newest row.
  auto same = row;
  while (same > 0 && axis.step[static_cast<std::size_t>(same)] > record.step)
    --same;
  item.images = axis.images[static_cast<std::size_t>(same)];
  return item;
}

EvalItem RunWorker::evalItem(std::int64_t id, const contract::EvalRecord& record) const {
  auto item = convertEval(id, record);
  const auto row = rowOfStep(record.segment, record.step);
  if (row >= 0)
    item.playSeconds = store_->axis().play[static_cast<std::size_t>(row)];
  return item;
}

}  // namespace batchscope::session
