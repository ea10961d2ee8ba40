#pragma once

#include "tests/app/engine_runner.h"

#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>

namespace batchscope {

inline QString checkpoint_of(const Training& training) {
  const QString folder = training.folder + QStringLiteral("/checkpoints/");
  const QStringList saved = QDir(folder).entryList({QStringLiteral("step-*")}, QDir::Files);
  return saved.isEmpty() ? QString() : folder + saved.last();
}

inline QJsonDocument json_of(const QString& path) {
  QFile file(path);
  return file.open(QIODevice::ReadOnly) ? QJsonDocument::fromJson(file.readAll()) : QJsonDocument();
}

inline QJsonObject object_of(const Result& result) {
  return QJsonDocument::fromJson(result.out.toUtf8()).object();
}

inline void write_json(const QString& path, const QJsonDocument& json) {
  QFile file(path);
  QVERIFY(file.open(QIODevice::WriteOnly) && file.write(json.toJson()) > 0);
}

/// `predict` with an --out.
inline Result predict(const QString& model,
                      const QString& weights,
                      const QString& images,
                      const QString& out,
                      const QStringList& rest = {}) {
  return run_engine(QStringList{QStringLiteral("predict"),
                                QStringLiteral("--model"),
                                model,
                                QStringLiteral("--weights"),
                                weights,
                                QStringLiteral("--images"),
                                images,
                                QStringLiteral("--out"),
                                out} +
                    rest);
}

}  // namespace batchscope
