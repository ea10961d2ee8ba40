#include "ui/views/run_banners.h"

#include "ui/session/engine_client.h"
#include "ui/views/axis_ticks.h"

#include <QFileInfo>
#include <QPushButton>
#include <QVBoxLayout>

#include <limits>

namespace batchscope::views {

namespace {

/// The newest event of one of the kinds on the live line; id 0 if there is none.
session::EventItem lastOf(const session::RunSession& run, const QStringList& kinds) {
  session::EventItem found;
  for (const session::EventItem& event : run.allEvents()) {
    if (kinds.contains(event.kind) && !event.abandoned) {
      found = event;
    }
  }
  return found;
}

/// The step to look at: a divergence began before it was seen.
std::int64_t placeOf(const session::EventItem& trouble) {
  const std::int64_t first = session::firstAbnormalStep(trouble);
  return trouble.id == 0 || first >= 0 ? first : trouble.step;
}

/// The text, and what is left to go on from.
QString withSaved(const QString& text,
                  const session::RunSession& run,
                  const session::EventItem& trouble) {
  const std::int64_t first = session::firstAbnormalStep(trouble);
  QString saved;
  if (!QFileInfo(run.path()).isDir()) {
    saved = RunBanners::tr("This file holds the record alone: its states are with its folder.");
  } else if (first >= 0) {
    const std::int64_t step = run.savedStep(first - 1, false);
    saved = step < 0 ? RunBanners::tr("No state was saved before that: a new start is from step 0.")
                     : RunBanners::tr("The newest state saved before that is of step %1.")
                           .arg(formatCount(step));
  } else {
    const std::int64_t step = run.savedStep(std::numeric_limits<std::int64_t>::max(), true);
    saved = step < 0 ? RunBanners::tr("No state was saved: Continue begins again at step 0.")
                     : RunBanners::tr("Continue goes on from the state that was saved at step %1.")
                           .arg(formatCount(step));
  }
  return (text.endsWith(QLatin1Char('.')) ? text : text + QLatin1Char('.')) + QLatin1Char(' ') +
         saved;
}

}  // namespace

QList<RunNotice> noticesOf(const session::RunSession& run) {
  using contract::RunState;
  using session::RunSession;
  QList<RunNotice> notices;
  const session::StatusItem& status = run.status();
  const session::EventItem trouble = lastOf(run,
                                            {QStringLiteral("abnormal"),
                                             QStringLiteral("diverged"),
                                             QStringLiteral("nonfinite"),
                                             QStringLiteral("error")});
  if (run.state() == RunSession::State::kFailed) {
    notices.append({QStringLiteral("unreadable"), Banner::Kind::kBad, run.failure()});
  } else if (!status.error.isEmpty()) {
    notices.append({QStringLiteral("error"), Banner::Kind::kBad, status.error});
  }
  const bool inFolder = QFileInfo(run.path()).isDir();  // else no state is there to go on from
  const QList<session::Rescue> rescues =
      inFolder ? session::rescuesFrom(run, trouble) : QList<session::Rescue>();
  if (status.state == RunState::kFailed) {
    const QString why =
        trouble.id != 0 ? trouble.text : RunBanners::tr("the engine gave no reason");
    notices.append({QStringLiteral("failed"),
                    Banner::Kind::kBad,
                    RunBanners::tr("The run failed at step %1: %2")
                        .arg(formatCount(status.step), withSaved(why, run, trouble)),
                    status.evidence,
                    placeOf(trouble),
                    inFolder && rescues.isEmpty(),
                    rescues});
  } else if (status.state == RunState::kLost) {
    notices.append(
        {QStringLiteral("lost"),
         Banner::Kind::kBad,
         withSaved(RunBanners::tr("The engine ended without a word after step %1. The record of "
                                  "all steps up to there is stored.")
                       .arg(formatCount(status.step)),
                   run,
                   {}) +
             (status.trouble.isEmpty()
                  ? QString()
                  : RunBanners::tr(" Before it ended: %1").arg(status.trouble)),
         status.evidence,
         -1,
         inFolder});
  } else if (trouble.id != 0) {
    const QString text = RunBanners::tr("Step %1: %2").arg(formatCount(trouble.step), trouble.text);
    notices.append({QStringLiteral("trouble%1").arg(trouble.id),
                    Banner::Kind::kWarn,
                    rescues.isEmpty() ? text : withSaved(text, run, trouble),
                    {},
                    placeOf(trouble),
                    false,
                    rescues});
  }
  if (status.isLive() && !status.trouble.isEmpty()) {
    notices.append({QStringLiteral("hindered"), Banner::Kind::kWarn, status.trouble});
  }
  if (const QString& words = run.engineFault(); !words.isEmpty() && !status.isLive()) {
    notices.append({QStringLiteral("engine"),
                    Banner::Kind::kBad,
                    RunBanners::tr("The engine said at its end: %1").arg(words)});
  }
  if (status.dead) {
    notices.append(
        {QStringLiteral("dead"),
         Banner::Kind::kWarn,
         RunBanners::tr("The run finished, but its loss never fell below where it started.")});
  }
  if (run.client()->state() == session::EngineClient::State::kMismatch) {
    notices.append({QStringLiteral("mismatch"), Banner::Kind::kWarn, run.client()->reason()});
  }
  return notices;
}

RunBanners::RunBanners(QWidget* parent) : QWidget(parent) {
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(8, 6, 8, 0);
  column->setSpacing(4);
  hide();
}

void RunBanners::setRun(session::RunSession* run) {
  if (run_ == run) {
    return;
  }
  if (run_) {
    disconnect(run_, nullptr, this, nullptr);
    disconnect(run_->client(), nullptr, this, nullptr);
  }
  run_ = run;
  closed_.clear();
  if (run_) {
    using session::RunSession;
    connect(run_, &RunSession::stateChanged, this, &RunBanners::refresh);
    connect(run_, &RunSession::statusChanged, this, &RunBanners::refresh);
    connect(run_, &RunSession::eventsChanged, this, &RunBanners::refresh);
    connect(run_->client(), &session::EngineClient::stateChanged, this, &RunBanners::refresh);
  }
  shown_.clear();
  refresh();
}

void RunBanners::setSuspended(bool suspended) {
  suspended_ = suspended;
  setVisible(!shown_.isEmpty() && !suspended_);
}

void RunBanners::refresh() {
  QStringList ids;
  QList<RunNotice> wanted;
  if (run_) {
    for (const RunNotice& notice : noticesOf(*run_)) {
      if (!closed_.contains(notice.id)) {
        wanted.append(notice);
        ids.append(notice.id + notice.text);
      }
    }
  }
  setVisible(!wanted.isEmpty() && !suspended_);
  if (ids == shown_ && !ids.isEmpty()) {
    return;
  }
  shown_ = ids;
  while (QLayoutItem* item = layout()->takeAt(0)) {
    item->widget()->deleteLater();
    delete item;
  }
  for (const RunNotice& notice : wanted) {
    auto* banner = new Banner(this);
    banner->setMessage(notice.kind, notice.text, notice.details);
    if (notice.step >= 0) {
      connect(banner->addButton(tr("Go there")), &QPushButton::clicked, this, [this, notice] {
        Q_EMIT placeWanted(notice.step);
      });
    }
    for (const session::Rescue& rescue : notice.rescues) {
      QPushButton* button = banner->addButton(rescue.title);
      button->setToolTip(
          tr("Go on as a fork from step %1 with this change").arg(formatCount(rescue.step)));
      connect(button, &QPushButton::clicked, this, [this, rescue] { Q_EMIT rescueWanted(rescue); });
    }
    if (notice.canContinue) {
      connect(banner->addButton(tr("Continue this run")),
              &QPushButton::clicked,
              this,
              &RunBanners::continueWanted);
    }
    QPushButton* close = banner->addButton(tr("Dismiss"));
    close->setProperty("flat", true);
    connect(close, &QPushButton::clicked, this, [this, notice] {
      closed_.insert(notice.id);
      refresh();
    });
    layout()->addWidget(banner);
  }
}

}  // namespace batchscope::views
