#include "ui/views/chart_data.h"

#include "ui/views/axis_ticks.h"
#include "ui/views/widgets.h"

#include <QCoreApplication>
#include <QPointer>
#include <QSet>

#include <cmath>

namespace batchscope::views {

namespace {

QString chartText(const char* text) {
  return QCoreApplication::translate("batchscope::views::ChartData", text);
}

EventMark::Kind markKind(const QString& kind) {
  static const QSet<QString> kChanges = {QStringLiteral("optimizer"),
                                         QStringLiteral("lr"),
                                         QStringLiteral("accumulation"),
                                         QStringLiteral("end"),
                                         QStringLiteral("undo"),
                                         QStringLiteral("fork"),
                                         QStringLiteral("resume")};
  static const QSet<QString> kProblems = {QStringLiteral("abnormal"),
                                          QStringLiteral("diverged"),
                                          QStringLiteral("nonfinite"),
                                          QStringLiteral("error")};
  return kChanges.contains(kind)    ? EventMark::Kind::kChange
         : kProblems.contains(kind) ? EventMark::Kind::kProblem
                                    : EventMark::Kind::kNote;
}

/// A word or two for the top of the chart: the new optimizer or value rather than the kind.
QString markLabel(const session::EventItem& event) {
  if (event.kind == QLatin1String("nonfinite")) {
    return QStringLiteral("NaN");
  }
  const QString now = event.args.value(QStringLiteral("new"));
  if (event.kind == QLatin1String("optimizer") && !now.isEmpty()) {
    return optimizerTitle(now);
  }
  if (event.kind == QLatin1String("optimizer")) {
    QString label = event.args.value(QStringLiteral("name"));
    const QString agvm = event.args.value(QStringLiteral("agvm"));
    if (agvm == QLatin1String("true") || agvm == QLatin1String("on")) {
      label += label.isEmpty() ? QStringLiteral("agvm on") : QStringLiteral(" + agvm");
    } else if (!agvm.isEmpty() && label.isEmpty()) {
      label = QStringLiteral("agvm off");
    }
    return label.isEmpty() ? event.kind : label;
  }
  if (event.kind == QLatin1String("lr") || event.kind == QLatin1String("accumulation")) {
    return QStringLiteral("%1 %2").arg(event.kind, event.args.value(QStringLiteral("value")));
  }
  if (event.kind == QLatin1String("shadow")) {
    const bool add = event.args.value(QStringLiteral("action")) == QLatin1String("add");
    return (add ? QStringLiteral("+ shadow %1") : QStringLiteral("− shadow %1"))
        .arg(event.args.value(QStringLiteral("label")));
  }
  return event.kind;
}

QStringList notesOf(const session::SeriesView& view) {
  const QString made = view.provenance();
  return made.isEmpty() ? QStringList{} : QStringList{made};
}

}  // namespace

QList<Curve> curvesOf(const session::SeriesView& view,
                      const SeriesChoice& choice,
                      const QString& prefix) {
  QList<Curve> curves;
  int number = 0;
  for (const session::CurvePart& part : view.parts) {
    Curve curve;
    curve.series = prefix + choice.series;
    curve.id = QStringLiteral("%1#%2").arg(curve.series).arg(number++);
    curve.name = choice.label;
    curve.help = QStringLiteral("%1\n%2").arg(view.name, view.help).trimmed();
    const QString made = view.provenance();
    if (!made.isEmpty()) {
      curve.help += QLatin1Char('\n') + made;
    }
    curve.colour = choice.colour;
    curve.abandoned = part.abandoned;
    curve.forecast = choice.forecast;
    curve.points = part.points;
    curve.breaks = part.breaks;
    curve.nonfinite = part.markers;
    if (!part.abandoned) {
      curve.samples = view.samples;
      curve.nonfiniteSamples = view.nonFinite;
      curve.nonPositive = view.nonPositive;
      curve.thinned = view.thinned;
    }
    curves.append(curve);
  }
  return curves;
}

QList<EventMark> marksOf(const QList<session::EventItem>& events, session::XKind kind) {
  static const QSet<QString> kSilent = {QStringLiteral("start"),
                                        QStringLiteral("finish"),
                                        QStringLiteral("checkpoint"),
                                        QStringLiteral("restore_point"),
                                        QStringLiteral("agvm_skipped"),
                                        QStringLiteral("weights")};
  QList<EventMark> marks;
  for (const session::EventItem& event : events) {
    // A shadow event that is no command only states what the shadows take.
    const bool statement =
        event.kind == QLatin1String("shadow") && !event.args.contains(QStringLiteral("action"));
    if (kSilent.contains(event.kind) || statement) {
      continue;
    }
    EventMark mark;
    mark.x = event.x(kind);
    mark.label = markLabel(event);
    mark.detail =
        QStringLiteral("%1 %2: %3").arg(chartText("Step")).arg(event.step).arg(event.text);
    mark.kind = markKind(event.kind);
    mark.abandoned = event.abandoned;
    marks.append(mark);
  }
  return marks;
}

SampleAt runSampleAt(session::RunSession* run, const ChartRequest& request) {
  return [run = QPointer<session::RunSession>(run),
          kind = request.kind,
          smoothing = request.smoothing](const QString& series, double x, int offset) {
    const session::SampleItem sample =
        run ? run->nearest(series, kind, x, offset, smoothing) : session::SampleItem{};
    return sample.valid ? std::optional(QPointF(sample.x, sample.value)) : std::nullopt;
  };
}

QString xText(session::XKind kind, double x) {
  return kind == session::XKind::kSeconds ? formatNumber(x, 6) : formatCount(std::llround(x));
}

ChartSource runSource(session::RunSession* run, std::function<QList<SeriesChoice>()> choices) {
  return [run, choices = std::move(choices)](const ChartRequest& request) {
    ChartContent content;
    const QPointF full = run->xRange(request.kind);
    content.range = request.range.value_or(AxisRange{full.x(), full.y()});
    for (const SeriesChoice& choice : choices()) {
      const session::SeriesView view = run->view(choice.series,
                                                 request.kind,
                                                 content.range.low,
                                                 content.range.high,
                                                 request.pixels,
                                                 request.smoothing);
      content.known = content.known || view.known;
      content.loading = content.loading || view.loading;
      content.curves.append(curvesOf(view, choice));
      for (const QString& note : notesOf(view)) {
        if (!content.notes.contains(note)) {
          content.notes.append(note);
        }
      }
    }
    if (content.notes.size() > 1) {
      content.notes = {chartText("thinned or smoothed: the legend says how")};
    }
    content.marks = marksOf(run->events(), request.kind);
    content.at = runSampleAt(run, request);
    return content;
  };
}

SampleSource runSamples(session::RunSession* run, std::function<QList<SeriesChoice>()> choices) {
  return [run, choices = std::move(choices)](session::XKind kind, const AxisRange& range) {
    QList<session::ExportColumn> columns;
    for (const SeriesChoice& choice : choices()) {
      if (!choice.forecast) {
        columns.append({choice.series, run->samples(choice.series, kind, range.low, range.high)});
      }
    }
    return columns;
  };
}

std::function<QList<SeriesChoice>()> moduleChoices(session::RunSession* run,
                                                   const QString& prefix) {
  return [run, prefix] {
    QList<SeriesChoice> choices;
    const QStringList modules = run->info().modules;
    for (const QString& name : run->seriesWithPrefix(prefix)) {
      const QString module = name.mid(prefix.size());
      const auto place = modules.indexOf(module);
      choices.append({name, module, static_cast<int>(place >= 0 ? place : choices.size())});
    }
    return choices;
  };
}

std::function<QList<SeriesChoice>()> fixedChoices(session::RunSession* run,
                                                  const QList<SeriesChoice>& choices) {
  return [run, choices] {
    QList<SeriesChoice> present;
    for (const SeriesChoice& choice : choices) {
      if (run->hasSeries(choice.series)) {
        present.append(choice);
      }
    }
    return present;
  };
}

}  // namespace batchscope::views
