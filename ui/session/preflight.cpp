#include "ui/session/preflight.h"

#include "engine/contract/batch_norm.h"
#include "engine/contract/error.h"
#include "ui/session/view_data.h"

#include <QDir>
#include <QFileInfo>
#include <QThread>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>

namespace batchscope::session {

namespace {

using Level = PreflightItem::Level;

constexpr std::int64_t kMegabyte = 1'000'000;
constexpr std::int64_t kDiskError = 500 * kMegabyte;
constexpr std::int64_t kDiskWarning = 2000 * kMegabyte;

PreflightItem item(const char* id, Level level, const QString& title, const QString& text) {
  return {QLatin1String(id), level, title, text, {}};
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

/// The first thing that is wrong with a file or folder of the spec, or an empty text.
QString fault(const QString& key, const std::string& value, bool folder) {
  const auto path = QString::fromStdString(value);
  const QFileInfo info(path);
  const auto what = folder ? QStringLiteral("folder") : QStringLiteral("file");
  if (path.isEmpty())
    return QStringLiteral("%1 is not set.").arg(key);
  if (!info.exists())
    return QStringLiteral("%1: there is no %2 %3.").arg(key, what, path);
  if (folder ? !info.isDir() : !info.isFile())
    return QStringLiteral("%1: %2 is not a %3.").arg(key, path, what);
  if (!info.isReadable())
    return QStringLiteral("%1: %2 cannot be read.").arg(key, path);
  return {};
}

constexpr const char* kAllKinds = "coco coco-panoptic voc ade20k openimages";
constexpr const char* kListedKinds = "voc ade20k openimages";
constexpr const char* kFolderKinds = "voc ade20k";  // annotations are a file for every picture

using Data = contract::DataSection;

/// A file or folder that data sets are made of.
struct DataPath {
  const char* key;
  std::string Data::*value;
  const char* kinds;    // that use it
  const char* folders;  // those of them where it is a folder
  bool needed;
  bool measured;  // used only where there is a validation set
};

constexpr DataPath kDataPaths[] = {
    {"data.annotations", &Data::annotations, kAllKinds, kFolderKinds, true, false},
    {"data.images", &Data::images, kAllKinds, kAllKinds, true, false},
    {"data.segments", &Data::segments, "coco-panoptic", "coco-panoptic", false, false},
    {"data.list", &Data::list, kListedKinds, "", false, false},
    {"data.classes", &Data::classes, "ade20k openimages", "", false, false},
    {"data.val_annotations", &Data::val_annotations, kAllKinds, kFolderKinds, false, true},
    {"data.val_images", &Data::val_images, kAllKinds, kAllKinds, false, true},
    {"data.val_segments", &Data::val_segments, "coco-panoptic", "coco-panoptic", false, true},
    {"data.val_list", &Data::val_list, kListedKinds, "", false, true},
    {"data.hierarchy", &Data::hierarchy, "openimages", "", false, true},
    {"data.val_image_labels", &Data::val_image_labels, "openimages", "", false, true}};

bool names(const char* kinds, const std::string& kind) {
  return QString::fromLatin1(kinds)
      .split(QLatin1Char(' '), Qt::SkipEmptyParts)
      .contains(QString::fromStdString(kind));
}

/// What is not given is taken from beside the annotations: the PNGs of a panoptic set.
std::string valueOf(const DataPath& path, const Data& data) {
  const auto beside = [](const std::string& annotations) {
    return annotations.empty() ? annotations
                               : std::filesystem::path(annotations).replace_extension().string();
  };
  const auto& value = data.*path.value;
  if (!value.empty())
    return value;
  if (path.value == &Data::segments)
    return beside(data.annotations);
  return path.value == &Data::val_segments ? beside(data.val_annotations) : value;
}

PreflightItem checkData(const Data& data) {
  const auto title = QStringLiteral("Data");
  if (data.kind == "synthetic-shapes")
    return item("data",
                Level::kOk,
                title,
                QStringLiteral("%1 synthetic pictures of %2 px, drawn on the fly")
                    .arg(data.train_pictures)
                    .arg(data.size));
  const bool measured = !data.val_annotations.empty() || !data.val_list.empty();
  for (const auto& path : kDataPaths) {
    const bool used = names(path.kinds, data.kind) && (measured || !path.measured);
    const auto value = used ? valueOf(path, data) : std::string();
    // Most kinds take the training set's files for what the validation set does not name.
    if (!used || (value.empty() && !path.needed))
      continue;
    const auto key = QString::fromLatin1(path.key);
    const auto text = fault(key, value, names(path.folders, data.kind));
    if (text.isEmpty())
      continue;
    auto result = item("data", Level::kError, title, text);
    result.field = key;
    return result;
  }
  return item("data", Level::kOk, title, QString::fromStdString(data.annotations));
}

PreflightItem checkWeights(const std::string& weights) {
  const auto title = QStringLiteral("Weights");
  if (weights.empty())
    return item("weights", Level::kOk, title, QStringLiteral("random start"));
  const auto key = QStringLiteral("model.weights");
  const auto text = fault(key, weights, false);
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
      QStringLiteral("%1 ranks, %2 threads each, on %3 cores").arg(ranks).arg(threads).arg(cores);
  if (context.device != QLatin1String("cuda") && ranks * threads > cores)
    return item("cores",
                Level::kWarning,
                title,
                text + QStringLiteral(": they will wait for one another. Accumulation gives the "
                                      "same batch with fewer ranks."));
  return item("cores", Level::kOk, title, text);
}

/// What the shadow optimizers keep: one float of state a parameter for SGD and LARS, two for the
/// others; the weights and every shadow's change while an update is compared.
PreflightItem checkShadows(const contract::RunSpec& spec) {
  QStringList labels;
  int floats = 0;
  for (const auto& shadow : spec.optim.shadow) {
    const auto method = contract::shadow_spec(spec, shadow).optim.name;
    floats += method == "sgd" || method == "lars" ? 1 : 2;
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

bool prevents(const PreflightItem& entry) {
  return entry.level >= Level::kComing;
}

}  // namespace

QList<PreflightItem> preflight(const contract::RunSpec& spec, const PreflightContext& context) {
  QList<PreflightItem> items;
  items << checkSpec(spec) << checkEngine(context) << checkData(spec.data)
        << checkWeights(spec.model.weights) << checkDisk(context) << checkCores(spec, context)
        << checkDevice(context);
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
  items << batch;
  if (!spec.optim.shadow.empty())
    items << checkShadows(spec);
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
