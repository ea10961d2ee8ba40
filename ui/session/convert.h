#pragma once

#include "storage/catalogue.h"
#include "ui/session/curve.h"
#include "ui/session/view_data.h"

#include <filesystem>

/// Storage's and the contract's records as the values that views see.
namespace batchscope::session {

std::filesystem::path toPath(const QString& path);
QString fromPath(const std::filesystem::path& path);
inline QString fromStd(const std::string& text) {
  return QString::fromStdString(text);
}
QMap<QString, QString> fromArgs(const std::map<std::string, std::string>& args);
QMap<QString, double> fromMetrics(const std::map<std::string, double>& metrics);

RunItem runItem(const contract::RunInfo& info, const QString& folder);
QList<SeriesItem> seriesItems(const std::vector<contract::SeriesInfo>& series);
/// Without its place in training time, which the axis knows.
EventItem convertEvent(std::int64_t id, const contract::EventRecord& record);
EvalItem convertEval(std::int64_t id, const contract::EvalRecord& record);
QList<BoxItem> boxItems(const std::vector<contract::BoxRecord>& boxes, const QStringList& classes);
ProbeItem probeItem(const contract::ProbeRecord& record, const QStringList& classes);

StatusItem statusItem(const storage::RunSummary& summary);
/// Adds what only the writer's last report says: batch, lr, agvm.
void addReport(StatusItem& status, const contract::StatusReport& report);
/// Pictures per second over the newest rows, and the time that the rest needs at this pace.
void addPace(StatusItem& status, const AxisColumns& axis);
/// "pmd_lamb + agvm".
QString optimizerText(const QString& name, bool agvm);

}  // namespace batchscope::session
