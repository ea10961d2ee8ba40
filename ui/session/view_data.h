#pragma once

#include "engine/contract/messages.h"
#include "engine/contract/records.h"

#include <QByteArray>
#include <QList>
#include <QMap>
#include <QPointF>
#include <QString>

#include <cstdint>
#include <limits>

/// Values that cross from the sessions to the views: copies, never live objects.
namespace batchscope::session {

/// The x axis of a curve. All three exist for every run.
enum class XKind { kStep, kImages, kSeconds };

/// What a chart draws of one unbroken line of training (the live line, or one abandoned branch).
struct CurvePart {
  QList<QPointF> points;   // x order, finite, at most two per pixel column
  QList<int> breaks;       // indices into points before which the line is interrupted
  QList<int> isolated;     // indices of points with a break on both sides: draw a dot
  QList<QPointF> markers;  // x of non-finite samples, y NaN or +-inf: draw a marker
  bool abandoned = false;  // undone, or left behind by a resume: draw grey
  std::int64_t segment = 0;
};

/// One series as a chart needs it, up to the playhead.
struct SeriesView {
  QString name, unit, module, help;
  QList<CurvePart> parts;  // abandoned branches first, the live line last
  std::int64_t samples = 0;
  std::int64_t nonFinite = 0;
  std::int64_t nonPositive = 0;  // finite samples <= 0 in view: what a log axis cannot show
  std::int64_t drawn = 0;        // vertices in all parts
  bool thinned = false;          // fewer points than samples
  bool loading = false;          // being read; dataChanged follows
  bool known = true;             // false: this run has no series of that name
  double xMin = 0, xMax = 0;     // range of the drawn points; equal to 0 when there are none
  double yMin = 0, yMax = 0;
  double smoothing = 0;  // the weight this view was made with; 0: raw

  bool isEmpty() const { return drawn == 0 && nonFinite == 0; }
  /// "1 of 8 samples shown, smoothed 0.90, 2 not finite": how the curve was made. Empty for raw and
  /// whole.
  QString provenance() const;
};

/// Name and meaning of a series, without its data.
struct SeriesItem {
  QString name, unit, module, help;
};

/// One recorded sample, for the cross-hair and tables.
struct SampleItem {
  bool valid = false;
  double x = 0, value = 0;
  std::int64_t step = 0, images = 0;
  double seconds = 0;      // training time
  double playSeconds = 0;  // place on the timeline
  std::int64_t segment = 0;
  bool abandoned = false;
};

/// Modules x columns for the variance page. cells are row-major, NaN = not measured; a cell is the
/// mean of the lowest and highest sample of its column.
struct HeatmapView {
  QStringList rows;  // module names
  int columns = 0;
  double x0 = 0, x1 = 0;
  QList<double> cells;
  bool loading = false;
  double at(int row, int column) const { return cells[row * columns + column]; }
};

/// An event as marks, lists and the timeline show it.
struct EventItem {
  std::int64_t id = 0, segment = 0, step = 0, images = 0, seq = 0;
  double seconds = 0;      // training time of the newest row at that moment
  double playSeconds = 0;  // place on the timeline
  QString time;            // ISO 8601 UTC
  QString kind, source, text;
  QMap<QString, QString> args;
  bool abandoned = false;  // stands in an abandoned branch
  /// The event's place on an axis.
  double x(XKind kindOfAxis) const;
};

/// One evaluation.
struct EvalItem {
  std::int64_t id = 0, segment = 0, step = 0, images = 0, pictures = 0;
  double seconds = 0, evalSeconds = 0, playSeconds = 0;
  QMap<QString, double> metrics;
  bool abandoned = false;
  double x(XKind kindOfAxis) const;
};

/// A box in pixels of its picture.
struct BoxItem {
  double x1 = 0, y1 = 0, x2 = 0, y2 = 0;
  int label = 0;      // 1…C
  QString className;  // or "class N" when the run has no names
  double score = 1;
};

/// A fixed picture with its truth and what the model said at `predictedStep` (-1: nothing yet).
struct ProbeItem {
  std::int64_t probe = 0;
  QString name;
  int width = 0, height = 0;
  QByteArray png;
  QList<BoxItem> truth, predictions;
  contract::PixelRecord truthPixels, predictionPixels;
  std::int64_t predictedStep = -1;
};

/// Where pictures were predicted; step -1: nowhere, the pictures alone.
struct PredictionPlace {
  std::int64_t segment = 0, step = -1;
  bool operator==(const PredictionPlace&) const = default;
};

/// State of a run with its evidence; computed when read.
struct StatusItem {
  contract::RunState state = contract::RunState::kStarting;
  QString word;      // "running", "paused", ... for a person
  QString evidence;  // "lock held, heartbeat 0.8 s ago"
  QString phase;     // "loading data", "training", ...
  QString error;     // why the run file cannot be read, or empty
  QString trouble;   // what hinders the training now, as its engine says; or empty
  std::int64_t step = 0, steps = 0, images = 0, totalImages = 0;
  QString optimizer;  // with modifiers: "pmd_lamb + agvm"
  bool agvm = false;
  double lr = 0;  // the base rate
  // What warm-up and decay make of it; NaN: not told.
  double lrInUse = std::numeric_limits<double>::quiet_NaN();
  std::int64_t micro = 0, accumulation = 0, ranks = 0;
  double imagesPerSecond = std::numeric_limits<double>::quiet_NaN();
  double etaSeconds = std::numeric_limits<double>::quiet_NaN();
  bool dead = false;  // finished, but the loss never fell below its start
  std::int64_t effectiveBatch() const { return micro * accumulation * ranks; }
  bool isLive() const;
  /// The method without modifiers: "pmd_lamb" of "pmd_lamb + agvm".
  QString method() const { return optimizer.section(QLatin1Char('+'), 0, 0).trimmed(); }
};

/// A saved state that is still on disk.
struct StateFileItem {
  std::int64_t segment = 0, step = 0;
  bool checkpoint = false;  // what Continue goes on from; else a restore point
};

/// What is fixed for a run.
struct RunItem {
  QString id, name, folder;
  QString specToml, engineVersion, host, device, started, parentRun;
  std::int64_t parentStep = 0, threads = 1, steps = 0, totalImages = 0;
  QStringList modules, classes;
};

/// The word of a state for a person, and the name of its icon ("state-running").
QString stateWord(contract::RunState state);
QString stateIcon(contract::RunState state);
/// "step", "images", "seconds", and the axis title "Step", "Pictures", "Training time (s)".
QString xKindName(XKind kind);
QString xKindTitle(XKind kind);
/// "8 × 16 × 1 = 128".
QString effectiveBatchText(std::int64_t micro, std::int64_t accumulation, std::int64_t ranks);

}  // namespace batchscope::session
