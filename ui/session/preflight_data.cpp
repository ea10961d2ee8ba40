// The part of the preflight that looks whether the files and folders of the data are there.
#include "ui/session/preflight_parts.h"

#include <QFileInfo>

#include <filesystem>

namespace batchscope::session {

using Level = PreflightItem::Level;

namespace {

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

}  // namespace

QString pathFault(const QString& key, const std::string& value, bool folder) {
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
    const auto text = pathFault(key, value, names(path.folders, data.kind));
    if (text.isEmpty())
      continue;
    auto result = item("data", Level::kError, title, text);
    result.field = key;
    return result;
  }
  return item("data", Level::kOk, title, QString::fromStdString(data.annotations));
}

PathKind pathKind(const QString& key, const std::string& dataKind) {
  if (key == QLatin1String("model.weights"))
    return PathKind::kFile;
  for (const auto& path : kDataPaths)
    if (key == QLatin1String(path.key))
      return names(path.folders, dataKind) ? PathKind::kFolder : PathKind::kFile;
  return PathKind::kNone;
}

}  // namespace batchscope::session
