#pragma once

#include "ui/session/run_session.h"
#include "ui/views/curve_chart.h"

#include <QPointer>
#include <QWidget>

class QComboBox;

namespace batchscope::views {

/// What the shadow optimizers of a run would have done: cosine to the real update, update norms and
/// effective learning rates, of one shadow in every module or of every shadow in one module, and
/// their time. GUI thread.
class ShadowSection : public QWidget {
  Q_OBJECT
 public:
  explicit ShadowSection(ChartLink* link, QWidget* parent = nullptr);
  void setRun(session::RunSession* run);
  /// Follows the run's list of series.
  void refreshChoices();
  void setEmptyText(const QString& text);

 private:
  QList<SeriesChoice> choices(const QString& quantity, bool withReal) const;
  void setSources();

  QPointer<session::RunSession> run_;
  QComboBox* what_;
  CurveChart *cosine_, *update_, *rate_, *time_;
};

/// Labels of the shadows that a run has curves of, in their order.
QStringList shadowLabels(const session::RunSession& run);

}  // namespace batchscope::views
