#include "ui/session/convert.h"

#include <QFile>

#include <algorithm>

namespace batchscope::session {

namespace {

// Pace is taken over this much training time, at least.
constexpr double kPaceSeconds = 3.0;

}  // namespace

std::filesystem::path toPath(const QString& path) {
  return QFile::encodeName(path).toStdString();
}

QString fromPath(const std::filesystem::path& path) {
  return QFile::decodeName(QByteArray::fromStdString(path.string()));
}

QMap<QString, QString> fromArgs(const std::map<std::string, std::string>& args) {
  QMap<QString, QString> result;
  for (const auto& [key, value] : args)
    result.insert(fromStd(key), fromStd(value));
  return result;
}

QMap<QString, double> fromMetrics(const std::map<std::string, double>& metrics) {
  QMap<QString, double> result;
  for (const auto& [key, value] : metrics)
    if (!(value < 0))  // nothing to measure, which is no figure
      result.insert(fromStd(key), value);
  return result;
}

namespace {

QStringList fromList(const std::vector<std::string>& words) {
  QStringList result;
  for (const auto& word : words)
    result.append(fromStd(word));
  return result;
}

}  // namespace

RunItem runItem(const contract::RunInfo& info, const QString& folder) {
  RunItem item;
  item.id = fromStd(info.id);
  item.name = fromStd(info.name);
  item.folder = folder;
  item.specToml = fromStd(info.spec_toml);
  item.engineVersion = fromStd(info.engine_version);
  item.host = fromStd(info.host);
  item.device = fromStd(info.device);
  item.started = fromStd(info.started);
  item.parentRun = fromStd(info.parent_run);
  item.parentStep = info.parent_step;
  item.threads = info.threads;
  item.steps = info.steps;
  item.totalImages = info.total_images;
  item.modules = fromList(info.modules);
  item.classes = fromList(info.classes);
  return item;
}

QList<SeriesItem> seriesItems(const std::vector<contract::SeriesInfo>& series) {
  QList<SeriesItem> items;
  for (const auto& info : series)
    items.append(
        {fromStd(info.name), fromStd(info.unit), fromStd(info.module), fromStd(info.help)});
  return items;
}

EventItem convertEvent(std::int64_t id, const contract::EventRecord& record) {
  EventItem item;
  item.id = id;
  item.segment = record.segment;
  item.step = record.step;
  item.seq = record.seq;
  item.time = fromStd(record.time);
  item.kind = fromStd(record.kind);
  item.source = fromStd(record.source);
  item.text = fromStd(record.text);
  item.args = fromArgs(record.args);
  return item;
}

EvalItem convertEval(std::int64_t id, const contract::EvalRecord& record) {
  EvalItem item;
  item.id = id;
  item.segment = record.segment;
  item.step = record.step;
  item.images = record.images;
  item.seconds = record.seconds;
  item.pictures = record.pictures;
  item.evalSeconds = record.eval_seconds;
  item.metrics = fromMetrics(record.metrics);
  return item;
}

QList<BoxItem> boxItems(const std::vector<contract::BoxRecord>& boxes, const QStringList& classes) {
  QList<BoxItem> items;
  for (const auto& box : boxes) {
    BoxItem item{box.x1, box.y1, box.x2, box.y2, box.label, {}, box.score};
    const auto index = box.label - 1;
    item.className = index >= 0 && index < classes.size()
                         ? classes[index]
                         : QStringLiteral("class %1").arg(box.label);
    items.append(item);
  }
  return items;
}

ProbeItem probeItem(const contract::ProbeRecord& record, const QStringList& classes) {
  ProbeItem item;
  item.probe = record.probe;
  item.name = fromStd(record.name);
  item.width = record.width;
  item.height = record.height;
  item.png = QByteArray::fromStdString(record.png);
  item.truth = boxItems(record.truth, classes);
  item.truthPixels = record.pixels;
  return item;
}

StatusItem statusItem(const storage::RunSummary& summary) {
  StatusItem item;
  item.state = summary.state;
  item.word = stateWord(summary.state);
  item.evidence = fromStd(summary.evidence);
  item.phase = fromStd(summary.phase);
  item.error = fromStd(summary.error);
  item.step = summary.step;
  item.steps = summary.steps;
  item.images = summary.images;
  item.optimizer = fromStd(summary.optimizer);
  item.dead = summary.dead;
  return item;
}

void addReport(StatusItem& status, const contract::StatusReport& report) {
  status.step = std::max(status.step, report.step);
  status.images = std::max(status.images, report.images);
  if (report.steps > 0)
    status.steps = report.steps;
  status.trouble = fromStd(report.trouble);
  status.agvm = report.agvm;
  status.lr = report.lr;
  status.micro = report.micro;
  status.accumulation = report.accumulation;
  status.ranks = report.ranks;
  if (!report.optimizer.empty())
    status.optimizer = optimizerText(fromStd(report.optimizer), report.agvm);
}

void addPace(StatusItem& status, const AxisColumns& axis) {
  const auto rows = axis.rows();
  if (rows < 2)
    return;
  const auto last = static_cast<std::size_t>(rows - 1);
  // Counted row by row, because an undo sets the picture counter back.
  double images = 0, seconds = 0;
  for (auto at = last; at > 0 && seconds < kPaceSeconds; --at) {
    images += static_cast<double>(std::max<std::int64_t>(0, axis.images[at] - axis.images[at - 1]));
    seconds += axis.play[at] - axis.play[at - 1];
  }
  if (seconds <= 0)
    return;
  status.imagesPerSecond = images / seconds;
  // Steps, because a live change of the run's end or batch moves the planned pictures.
  const auto left = static_cast<double>((status.steps - status.step) * status.effectiveBatch());
  if (status.isLive() && status.imagesPerSecond > 0 && status.steps > 0 && left >= 0)
    status.etaSeconds = left / status.imagesPerSecond;
}

QString optimizerText(const QString& name, bool agvm) {
  return agvm && !name.contains(QLatin1String("agvm")) ? name + QStringLiteral(" + agvm") : name;
}

}  // namespace batchscope::session
