#include "engine/contract/batch_norm.h"
#include "engine/contract/error.h"
#include "ui/session/preflight_parts.h"
#include "ui/session/view_data.h"

#include <QDir>
#include <QFileInfo>
#include <QThread>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>

namespace batchscope::session {

using Level = PreflightItem::Level;

namespace {

constexpr std::int64_t kMegabyte = 1'000'000;
constexpr std::int64_t kDiskError = 500 * kMegabyte;
constexpr std::int64_t kDiskWarning = 2000 * kMegabyte;

/// "1 rank", "2 ranks"
QString counted(std::int64_t count, const char* what) {
  return QStringLiteral("%1 %2%3").arg(count).arg(QLatin1String(what),
                                                  QLatin1String(count == 1 ? "" : "s"));
}

PreflightItem checkSpec(const contract::RunSpec& spec) {
  auto result = item("spec", Level::kOk, QStringLiteral("Settings"), QStringLiteral("valid"));
  try {
    contract::validate(spec);
  } catch (const contract::SpecError& error) {
    result.level = Level::kError;
    result.text = QString::fromStdString(error.what());
    result.field = QString::fromStdString(error.field());
  }
  return result;
}

PreflightItem checkEngine(const PreflightContext& context) {
  const auto title = QStringLiteral("Engine");
  const auto& path = context.enginePath;
  const QFileInfo engine(path);
  const auto level = context.engineComing ? Level::kComing : Level::kError;
  if (path.isEmpty() && !context.engineFault.isEmpty())
    return item("engine", level, title, context.engineFault);
  if (path.isEmpty())
    return item("engine",
                Level::kError,
                title,
                QStringLiteral("batchscope-engine was not found beside this program or on PATH. "
                               "Viewing works; to train, set the engine's location."));
  if (!engine.isFile() || !engine.isExecutable())
    return item("engine", Level::kError, title, QStringLiteral("%1 is not a program.").arg(path));
  return item("engine", Level::kOk, title, path);
}

PreflightItem checkWeights(const std::string& weights) {
  const auto title = QStringLiteral("Weights");
  if (weights.empty())
    return item("weights", Level::kOk, title, QStringLiteral("random start"));
  const auto key = QStringLiteral("model.weights");
  const auto text = pathFault(key, weights, false);
  auto result = item("weights",
                     text.isEmpty() ? Level::kOk : Level::kError,
                     title,
                     text.isEmpty() ? QString::fromStdString(weights) : text);
  result.field = text.isEmpty() ? QString() : key;
  return result;
}

/// The nearest folder that exists: where the library will be made.
QString existingFolder(const QString& path) {
  QDir folder(path);
  while (!folder.exists() && folder.path() != QDir::rootPath())
    folder.setPath(QFileInfo(folder.path()).path());
  return folder.path();
}

/// Bytes that may be written there. Asked of the file system itself: QStorageInfo knows it from the
/// list of mounts, where containers and chroots may not find themselves.
std::optional<std::int64_t> freeBytes(const QString& folder) {
  std::error_code error;
  const auto space = std::filesystem::space(folder.toStdString(), error);
  return error ? std::nullopt : std::optional(static_cast<std::int64_t>(space.available));
}

PreflightItem checkDisk(const PreflightContext& context) {
  const auto title = QStringLiteral("Disk");
  const auto folder = existingFolder(context.library);
  if (!QFileInfo(folder).isWritable())
    return item("disk",
                Level::kError,
                title,
                QStringLiteral("The library %1 cannot be written.").arg(context.library));
  const auto bytes = context.freeBytes ? context.freeBytes : freeBytes(folder);
  if (!bytes)
    return item("disk",
                Level::kWarning,
                title,
                QStringLiteral("The free space of %1 is unknown.").arg(context.library));
  const auto text = QStringLiteral("%1 GB free in %2")
                        .arg(static_cast<double>(*bytes) / (1000.0 * kMegabyte), 0, 'f', 1)
                        .arg(context.library);
  const auto level = *bytes < kDiskError     ? Level::kError
                     : *bytes < kDiskWarning ? Level::kWarning
                                             : Level::kOk;
  return item("disk", level, title, text);
}

PreflightItem checkCores(const contract::RunSpec& spec, const PreflightContext& context) {
  const auto title = QStringLiteral("Cores");
  const auto cores = context.cores.value_or(QThread::idealThreadCount());
  const auto ranks = spec.batch.ranks;
  const auto threads = spec.precision.threads > 0
                           ? spec.precision.threads
                           : std::max<std::int64_t>(1, cores / std::max<std::int64_t>(1, ranks));
  const auto text =
      QStringLiteral("%1, %2 each, on %3")
          .arg(counted(ranks, "rank"), counted(threads, "thread"), counted(cores, "core"));
  if (context.device != QLatin1String("cuda") && ranks * threads > cores)
    return item("cores",
                Level::kWarning,
                title,
                text + QStringLiteral(": they will wait for one another. Accumulation gives the "
                                      "same batch with fewer ranks."));
  return item("cores", Level::kOk, title, text);
}

/// Of state a parameter.
int stateFloats(const std::string& method) {
  return method == "sgd" || method == "lars" ? 1 : 2;
}

/// What the shadow optimizers keep beside their states: the weights and every shadow's change while
/// an update is compared.
PreflightItem checkShadows(const contract::RunSpec& spec) {
  QStringList labels;
  int floats = 0;
  for (const auto& shadow : spec.optim.shadow) {
    floats += stateFloats(contract::shadow_spec(spec, shadow).optim.name);
    labels.append(QString::fromStdString(shadow.label));
  }
  return item("shadows",
              Level::kOk,
              QStringLiteral("Shadow optimizers"),
              QStringLiteral("%1: %2 bytes of memory a parameter, and %3 more in an update that is "
                             "recorded; each takes about as long as the optimizer itself")
                  .arg(labels.join(QStringLiteral(", ")))
                  .arg(4 * floats)
                  .arg(4 * (labels.size() + 1)));
}

PreflightItem checkDevice(const PreflightContext& context) {
  const auto title = QStringLiteral("Device");
  const bool cuda =
      context.cudaDevice.value_or(QFileInfo::exists(QStringLiteral("/proc/driver/nvidia/version")));
  if (context.device == QLatin1String("cuda") && !cuda)
    return item(
        "device", Level::kError, title, QStringLiteral("There is no CUDA device; choose the CPU."));
  if (context.device == QLatin1String("cpu") || !cuda)
    return item("device",
                Level::kOk,
                title,
                cuda ? QStringLiteral("CPU")
                     : QStringLiteral("No CUDA device. Runs use the CPU; simulated batches work."));
  return item("device", Level::kOk, title, QStringLiteral("CUDA driver found"));
}

PreflightItem checkBatch(const contract::RunSpec& spec) {
  auto batch =
      item("batch",
           Level::kOk,
           QStringLiteral("Effective batch"),
           effectiveBatchText(spec.batch.micro, spec.batch.accumulation, spec.batch.ranks));
  if (const auto pictures = contract::batch_norm_pictures(spec);
      pictures < spec.batch.effective()) {
    batch.level = Level::kWarning;
    batch.text += QStringLiteral(
                      "; batch norm sees %1 pictures at a time, so this is not the same as "
                      "one large batch")
                      .arg(pictures);
    batch.field = QStringLiteral("model.norm");
  }
  return batch;
}

/// What is sure before a picture was seen.
PreflightItem checkMemory(const contract::RunSpec& spec, std::int64_t parameters) {
  const auto& agvm = spec.optim.agvm;
  const std::int64_t floats =
      2 + stateFloats(spec.optim.name) + (agvm.enabled || agvm.observe ? 2 : 0);
  return item("memory",
              Level::kOk,
              QStringLiteral("Memory and time"),
              QStringLiteral("%1 MB a rank for weights, gradients and optimizer; what the pictures "
                             "need, and how long an update takes, is known after the first one")
                  .arg(static_cast<double>(4 * floats * parameters) / kMegabyte, 0, 'f', 1));
}

bool prevents(const PreflightItem& entry) {
  return entry.level >= Level::kComing;
}

}  // namespace

PreflightItem item(const char* id, Level level, const QString& title, const QString& text) {
  return {QLatin1String(id), level, title, text, {}};
}

QList<PreflightItem> preflight(const contract::RunSpec& spec, const PreflightContext& context) {
  QList<PreflightItem> items;
  if (!context.inputFault.isEmpty()) {
    items << item("spec", Level::kError, QStringLiteral("Settings"), context.inputFault);
    items.last().field = context.inputField;
    return items << checkEngine(context) << checkDisk(context) << checkDevice(context);
  }
  items << checkSpec(spec) << checkEngine(context) << checkData(spec.data)
        << checkWeights(spec.model.weights) << checkDisk(context) << checkCores(spec, context)
        << checkDevice(context) << checkBatch(spec);
  if (!spec.optim.shadow.empty())
    items << checkShadows(spec);
  addTrial(items, spec, context);
  if (context.trial && context.trial->ok)
    items << checkMemory(spec, context.trial->parameters);
  return items;
}

bool canStart(const QList<PreflightItem>& items) {
  return std::none_of(items.begin(), items.end(), prevents);
}

QString startFault(const QList<PreflightItem>& items) {
  const auto at = std::find_if(items.begin(), items.end(), prevents);
  return at == items.end() ? QString() : at->text;
}

}  // namespace batchscope::session
