#pragma once

#include <QHash>
#include <QSet>
#include <QWidget>

class QToolButton;

namespace batchscope::views {

class CurvePlot;

/// Legend of a chart: one checkable entry a series with its line, marker, name and counters ("3
/// non-finite", "12 ≤ 0 hidden"). Unchecking hides the series.
class ChartLegend : public QWidget {
  Q_OBJECT
 public:
  explicit ChartLegend(QWidget* parent = nullptr);
  /// Shows the plot's live curves.
  void update(const CurvePlot& plot);
  QStringList series() const { return order_; }
  QString textOf(const QString& series) const;
  int heightForWidth(int width) const override;

 Q_SIGNALS:
  void hiddenChanged(const QSet<QString>& series);

 private:
  void add(const QString& series);
  QHash<QString, QToolButton*> buttons_;
  QStringList order_;
  QSet<QString> hidden_;
};

}  // namespace batchscope::views
