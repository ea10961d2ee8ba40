#pragma once

#include <QString>
#include <QStringList>

namespace batchscope::session {

/// One child as a dialog asks for it. Empty fields leave the run's setting.
struct ForkChildRow {
  QString optimizer;  // "lamb"
  QString agvm;       // "on", "off"
  QString lr;
  QString clipNorm;
  QString more;  // "optim.momentum=0.8,optim.betas=[0.9, 0.99]"
};

/// "optim.name=lamb,optim.lr=0.01" as `runs fork --child` takes it.
QString childText(const ForkChildRow& row);
/// Why the engine would refuse these children or seeds of a run with this spec; empty: it would
/// not.
QString forkFault(const QString& specToml, const QList<ForkChildRow>& rows, const QString& seeds);
/// "1, 2,3" as single seeds.
QStringList seedList(const QString& text);

}  // namespace batchscope::session
