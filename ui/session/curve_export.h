#pragma once

#include "ui/session/view_data.h"

#include <QAbstractTableModel>
#include <QByteArray>
#include <QList>
#include <QString>

namespace batchscope::session {

/// One column of an export: a curve's recorded samples.
struct ExportColumn {
  QString title;  // "loss", or "run / loss" when several runs are shown
  QList<SampleItem> samples;
};

/// RFC 4180, wide: x, then one column per curve; '.' decimals in every locale, 17 digits at most,
/// `nan` and `inf` spelled out, empty = not measured. Rows in x order; a sample that repeats an x
/// within a curve (an abandoned branch) gets a row of its own. Abandoned samples come only with
/// `abandoned`.
QByteArray curvesToCsv(const QList<ExportColumn>& columns, XKind kind, bool abandoned = false);
/// Writes beside and renames. False with a sentence in `error`.
bool writeFile(const QString& path, const QByteArray& bytes, QString* error);

/// A number with all its digits, so that neighbouring rows differ where their values do.
QString shownNumber(double value);

/// The visible samples of a chart as a table, for "Show as table". GUI thread.
class CurveTableModel : public QAbstractTableModel {
  Q_OBJECT

 public:
  explicit CurveTableModel(QObject* parent = nullptr);
  /// Samples merged on x as in the export; only the live line.
  void setColumns(const QList<ExportColumn>& columns, XKind kind);

  int rowCount(const QModelIndex& parent = {}) const override;
  int columnCount(const QModelIndex& parent = {}) const override;
  QVariant data(const QModelIndex& index, int role) const override;
  QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

 private:
  struct Row {
    double x = 0;
    QList<double> values;  // NaN and infinities are values
    QList<bool> measured;
  };
  QList<Row> rows_;
  QStringList titles_;
  XKind kind_ = XKind::kStep;
};

}  // namespace batchscope::session
