#include "ui/views/run_banners.h"

#include "ui/session/engine_client.h"
#include "ui/views/axis_ticks.h"

#include <QPushButton>
#include <QVBoxLayout>

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
    notices.append({QStringLiteral("unreadable"), Banner::Kind::kBad, run.failure(), {}, 0, false});
  } else if (!status.error.isEmpty()) {
    notices.append({QStringLiteral("error"), Banner::Kind::kBad, status.error, {}, 0, false});
  }
  if (status.state == RunState::kFailed) {
    const QString why =
        trouble.id != 0 ? trouble.text : RunBanners::tr("the engine gave no reason");
    notices.append({QStringLiteral("failed"),
                    Banner::Kind::kBad,
                    RunBanners::tr("The run failed at step %1: %2 Everything before it is stored.")
                        .arg(formatCount(status.step), why),
                    status.evidence,
                    trouble.id,
                    true});
  } else if (status.state == RunState::kLost) {
    notices.append(
        {QStringLiteral("lost"),
         Banner::Kind::kBad,
         RunBanners::tr(
             "The engine ended without a word after step %1. All steps up to there are stored.")
             .arg(formatCount(status.step)),
         status.evidence,
         0,
         true});
  } else if (trouble.id != 0) {
    notices.append({QStringLiteral("trouble%1").arg(trouble.id),
                    Banner::Kind::kWarn,
                    RunBanners::tr("Step %1: %2").arg(formatCount(trouble.step), trouble.text),
                    {},
                    trouble.id,
                    false});
  }
  if (status.isLive() && !status.trouble.isEmpty()) {
    notices.append({QStringLiteral("hindered"), Banner::Kind::kWarn, status.trouble, {}, 0, false});
  }
  if (const QString& words = run.engineFault(); !words.isEmpty() && !status.isLive()) {
    notices.append({QStringLiteral("engine"),
                    Banner::Kind::kBad,
                    RunBanners::tr("The engine said at its end: %1").arg(words),
                    {},
                    0,
                    false});
  }
  if (status.dead) {
    notices.append(
        {QStringLiteral("dead"),
         Banner::Kind::kWarn,
         RunBanners::tr("The run finished, but its loss never fell below where it started."),
         {},
         0,
         false});
  }
  if (run.client()->state() == session::EngineClient::State::kMismatch) {
    notices.append(
        {QStringLiteral("mismatch"), Banner::Kind::kWarn, run.client()->reason(), {}, 0, false});
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
    if (notice.eventId != 0) {
      connect(banner->addButton(tr("Go there")), &QPushButton::clicked, this, [this, notice] {
        if (run_) {
          run_->seekToEvent(notice.eventId);
        }
      });
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
