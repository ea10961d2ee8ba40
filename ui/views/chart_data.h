#pragma once

#include "ui/session/curve_export.h"
#include "ui/session/run_session.h"
#include "ui/session/view_data.h"
#include "ui/views/curve.h"

#include <functional>

namespace batchscope::views {

/// What a chart asks of its source: this range of this axis in this many columns.
struct ChartRequest {
  session::XKind kind = session::XKind::kStep;
  std::optional<AxisRange> range;  // absent: everything
  int pixels = 1;
  double smoothing = 0;
};

/// A recorded sample of a curve's series: the one nearest to x, `offset` samples further. x may lie
/// before the first and after the last; absent: the series is none of the record's, or being read.
using SampleAt = std::function<std::optional<QPointF>(const QString& series, double x, int offset)>;

/// What a chart gets.
struct ChartContent {
  QList<Curve> curves;
  QList<EventMark> marks;
  AxisRange range;       // that the curves were made for
  SampleAt at;           // reads what a thinned curve leaves out; none: its points are all
  QStringList notes;     // how the curves were made, what is missing
  bool loading = false;  // more is being read; refresh() follows
  bool known = false;    // at least one of the series exists
};

/// A source is called only for charts that can be seen. Samples are asked for tables and CSV.
using ChartSource = std::function<ChartContent(const ChartRequest&)>;
using SampleSource = std::function<QList<session::ExportColumn>(session::XKind, const AxisRange&)>;

/// One curve of a run that a chart shows.
struct SeriesChoice {
  QString series;  // name in the run
  QString label;   // in the legend
  int colour = 0;
  bool forecast = false;
};

/// Lines of a view as chart curves; ids begin with `prefix`.
QList<Curve> curvesOf(const session::SeriesView& view,
                      const SeriesChoice& choice,
                      const QString& prefix = {});
/// Events that change or explain a curve, as marks on an axis.
QList<EventMark> marksOf(const QList<session::EventItem>& events, session::XKind kind);
/// Reads the recorded samples of a run, smoothed as its curves are.
SampleAt runSampleAt(session::RunSession* run, const ChartRequest& request);
/// A place on an axis as a person says it: steps and pictures are whole.
QString xText(session::XKind kind, double x);
/// Source of the chosen series of one run; `choices` is asked each time, so that it can follow the
/// run's list of series.
ChartSource runSource(session::RunSession* run, std::function<QList<SeriesChoice>()> choices);
SampleSource runSamples(session::RunSession* run, std::function<QList<SeriesChoice>()> choices);
/// All series "prefix<module>" in module order, labelled by the module.
std::function<QList<SeriesChoice>()> moduleChoices(session::RunSession* run, const QString& prefix);
/// Those of the fixed list that the run has.
std::function<QList<SeriesChoice>()> fixedChoices(session::RunSession* run,
                                                  const QList<SeriesChoice>& choices);

}  // namespace batchscope::views
