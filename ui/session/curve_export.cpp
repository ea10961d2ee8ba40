#include "ui/session/curve_export.h"

#include <QHash>
#include <QLocale>
#include <QSaveFile>

#include <algorithm>
#include <cmath>

namespace batchscope::session {

namespace {

QByteArray number(double value) {
  if (std::isnan(value))
    return "nan";
  if (std::isinf(value))
    return value > 0 ? "inf" : "-inf";
  return QByteArray::number(value, 'g', QLocale::FloatingPointShortest);
}

QByteArray field(const QString& text) {
  auto bytes = text.toUtf8();
  const bool special =
      bytes.contains(',') || bytes.contains('"') || bytes.contains('\n') || bytes.contains('\r');
  return special ? '"' + bytes.replace("\"", "\"\"") + '"' : bytes;
}

/// One merged row: the sample of each column, or null.
struct MergedRow {
  double x = 0;
  QList<const SampleItem*> cells;
};

QList<MergedRow> merge(const QList<ExportColumn>& columns, bool abandoned) {
  struct Cell {
    double x;
    int column, repeat;
    const SampleItem* sample;
  };
  QList<Cell> cells;
  for (int column = 0; column < columns.size(); ++column) {
    QHash<double, int> seen;
    for (const auto& sample : columns[column].samples)
      if (abandoned || !sample.abandoned)
        cells.append({sample.x, column, seen[sample.x]++, &sample});
  }
  std::stable_sort(cells.begin(), cells.end(), [](const Cell& a, const Cell& b) {
    return a.x != b.x ? a.x < b.x : a.repeat < b.repeat;
  });
  QList<MergedRow> rows;
  int repeat = 0;
  for (const auto& cell : cells) {
    if (rows.isEmpty() || rows.last().x != cell.x || repeat != cell.repeat)
      rows.append({cell.x, QList<const SampleItem*>(columns.size(), nullptr)});
    repeat = cell.repeat;
    rows.last().cells[cell.column] = cell.sample;
  }
  return rows;
}

}  // namespace

QByteArray curvesToCsv(const QList<ExportColumn>& columns, XKind kind, bool abandoned) {
  QByteArray csv = field(xKindName(kind));
  for (const auto& column : columns)
    csv += ',' + field(column.title);
  csv += "\r\n";
  for (const auto& row : merge(columns, abandoned)) {
    csv += number(row.x);
    for (const auto* cell : row.cells)
      csv += ',' + (cell ? number(cell->value) : QByteArray());
    csv += "\r\n";
  }
  return csv;
}

bool writeFile(const QString& path, const QByteArray& bytes, QString* error) {
  QSaveFile file(path);
  if (file.open(QIODevice::WriteOnly) && file.write(bytes) == bytes.size() && file.commit())
    return true;
  if (error)
    *error = QStringLiteral("%1 could not be written: %2.").arg(path, file.errorString());
  return false;
}

QString shownNumber(double value) {
  if (!std::isfinite(value))
    return QString::fromLatin1(number(value));
  const auto size = std::abs(value);
  const bool plain = value == 0 || (size >= 1e-4 && size < 1e15);
  return QLocale().toString(value, plain ? 'f' : 'e', QLocale::FloatingPointShortest);
}

CurveTableModel::CurveTableModel(QObject* parent) : QAbstractTableModel(parent) {}

void CurveTableModel::setColumns(const QList<ExportColumn>& columns, XKind kind) {
  beginResetModel();
  kind_ = kind;
  titles_.clear();
  rows_.clear();
  for (const auto& column : columns)
    titles_.append(column.title);
  for (const auto& merged : merge(columns, false)) {
    Row row;
    row.x = merged.x;
    for (const auto* cell : merged.cells) {
      row.values.append(cell ? cell->value : 0);
      row.measured.append(cell != nullptr);
    }
    rows_.append(row);
  }
  endResetModel();
}

int CurveTableModel::rowCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : static_cast<int>(rows_.size());
}

int CurveTableModel::columnCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : 1 + static_cast<int>(titles_.size());
}

QVariant CurveTableModel::data(const QModelIndex& index, int role) const {
  if (!checkIndex(index, CheckIndexOption::IndexIsValid | CheckIndexOption::ParentIsInvalid))
    return {};
  if (role == Qt::TextAlignmentRole)
    return QVariant(Qt::AlignRight | Qt::AlignVCenter);
  if (role != Qt::DisplayRole)
    return {};
  const auto& row = rows_[index.row()];
  if (index.column() == 0)
    return shownNumber(row.x);
  if (!row.measured[index.column() - 1])
    return {};
  return shownNumber(row.values[index.column() - 1]);
}

QVariant CurveTableModel::headerData(int section, Qt::Orientation orientation, int role) const {
  if (orientation != Qt::Horizontal || role != Qt::DisplayRole || section < 0)
    return {};
  return section == 0 ? xKindTitle(kind_) : titles_.value(section - 1);
}

}  // namespace batchscope::session
