#pragma once

#include "tests/app/predict_runner.h"

namespace batchscope {

inline constexpr int kPictureCount = 4;

inline QString name_of(int picture) {
  return QStringLiteral("%1.png").arg(QLatin1Char(static_cast<char>('a' + picture)));
}

inline QJsonObject category(int id, const QString& name) {
  return {{QStringLiteral("id"), id}, {QStringLiteral("name"), name}};
}

/// A truth with pictures of ids 104, 103, …; every second thing that was found is true, with the id
/// that `id_of` gives its category (0: none).
template <typename IdOf>
QJsonDocument truth_of(const QJsonArray& found, const QJsonArray& categories, const IdOf& id_of) {
  QJsonArray images, annotations;
  for (int i = 0; i < kPictureCount; ++i) {
    images.append(QJsonObject{{QStringLiteral("id"), 104 - i},
                              {QStringLiteral("file_name"), name_of(i)},
                              {QStringLiteral("width"), 64},
                              {QStringLiteral("height"), 48}});
  }
  for (qsizetype i = 0; i < found.size(); i += 2) {
    QJsonObject one = found[i].toObject();
    const int id = id_of(one[QStringLiteral("category_id")].toInt());
    if (id == 0) {
      continue;
    }
    one[QStringLiteral("id")] = static_cast<int>(i) + 1;
    one[QStringLiteral("image_id")] =
        104 - (one[QStringLiteral("file_name")].toString()[0].unicode() - 'a');
    one[QStringLiteral("category_id")] = id;
    annotations.append(one);
  }
  return QJsonDocument(QJsonObject{{QStringLiteral("images"), images},
                                   {QStringLiteral("annotations"), annotations},
                                   {QStringLiteral("categories"), categories}});
}

/// One line for each entry, with another category; 0: left out.
template <typename IdOf>
QStringList lines_of(const QJsonArray& found, const IdOf& id_of) {
  QStringList lines;
  for (const auto& value : found) {
    QJsonObject one = value.toObject();
    const int id = id_of(one[QStringLiteral("category_id")].toInt());
    if (id != 0) {
      one[QStringLiteral("category_id")] = id;
      one.remove(QStringLiteral("image_id"));
      lines << QString::fromUtf8(QJsonDocument(one).toJson(QJsonDocument::Compact));
    }
  }
  return lines;
}

inline int same_id(int id) {
  return id;
}

}  // namespace batchscope
