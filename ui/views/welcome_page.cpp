#include "ui/views/welcome_page.h"

#include "ui/views/axis_ticks.h"
#include "ui/views/engine_build_card.h"
#include "ui/views/widgets.h"

#include <QCoreApplication>
#include <QDir>
#include <QFile>
#include <QFileInfo>
#include <QGridLayout>
#include <QLabel>
#include <QPushButton>
#include <QVBoxLayout>

namespace batchscope::views {

namespace {

constexpr int kRecentRuns = 6;

/// A large button: icon, title, and a line that says what it does.
QPushButton* card(QWidget* parent, const QString& sign, const QString& title, const QString& text) {
  auto* button = new QPushButton(parent);
  button->setProperty("cardButton", true);
  button->setAccessibleName(title);
  button->setAccessibleDescription(text);
  followTheme(button, [button] {
    const int line = button->fontMetrics().height();
    button->setMinimumSize(10 * line, 72 + 4 * line);
  });
  button->setCursor(Qt::PointingHandCursor);
  auto* column = new QVBoxLayout(button);
  column->setContentsMargins(18, 16, 18, 16);
  auto* picture = new QLabel(button);
  picture->setPixmap(icon(sign, IconTint::kAccent).pixmap(QSize(30, 30)));
  QLabel* head = titleLabel(title, button, TitleSize::kSmall);
  QLabel* body = mutedLabel(text, button);
  body->setObjectName(QStringLiteral("cardText"));
  body->setWordWrap(true);
  for (QLabel* label : {picture, head, body}) {
    label->setAttribute(Qt::WA_TransparentForMouseEvents);
    column->addWidget(label);
  }
  column->addStretch(1);
  QObject::connect(&Theme::instance(), &Theme::changed, picture, [picture, sign] {
    picture->setPixmap(icon(sign, IconTint::kAccent).pixmap(QSize(30, 30)));
  });
  return button;
}

}  // namespace

QString findDemoRun() {
  const QString here = QCoreApplication::applicationDirPath();
  for (const QString& place : {here + QStringLiteral("/demo.bscope"),
                               here + QStringLiteral("/../share/batchscope/demo.bscope"),
                               here + QStringLiteral("/../../../resources/demo.bscope"),
                               here + QStringLiteral("/../resources/demo.bscope")}) {
    if (QFileInfo::exists(place)) {
      return QDir::cleanPath(place);
    }
  }
  return {};
}

QStringList gpuNames() {
  QStringList names;
  const QDir folder(QStringLiteral("/proc/driver/nvidia/gpus"));
  for (const QString& entry : folder.entryList(QDir::Dirs | QDir::NoDotAndDotDot)) {
    QFile file(folder.filePath(entry) + QStringLiteral("/information"));
    if (!file.open(QIODevice::ReadOnly)) {
      continue;
    }
    for (const QString& line : QString::fromUtf8(file.readAll()).split(QLatin1Char('\n'))) {
      if (line.startsWith(QLatin1String("Model:"))) {
        names.append(line.section(QLatin1Char(':'), 1).trimmed());
      }
    }
  }
  return names;
}

WelcomePage::WelcomePage(session::RunListModel* model, QWidget* parent)
    : QWidget(parent), model_(model) {
  auto* body = new QWidget(this);
  followTheme(body, [body] { body->setMaximumWidth(58 * body->fontMetrics().height()); });
  auto* column = new QVBoxLayout(body);
  column->setSpacing(10);
  auto* head = new QHBoxLayout;
  auto* logo = new QLabel(body);
  logo->setPixmap(programIcon().pixmap(QSize(56, 56)));
  head->addWidget(logo);
  head->addSpacing(10);
  auto* words = new QVBoxLayout;
  words->setSpacing(1);
  words->addWidget(titleLabel(QStringLiteral("Batchscope"), body, TitleSize::kHuge));
  words->addWidget(mutedLabel(
      tr("Large-batch detection training: launch it, watch it, switch the optimizer, replay it."),
      body));
  head->addLayout(words, 1);
  column->addStretch(2);
  column->addLayout(head);
  column->addSpacing(14);
  column->addWidget(buildCards());
  buildCard_ = new EngineBuildCard(body);
  column->addWidget(buildCard_);
  column->addSpacing(12);
  recentBox_ = new QWidget(body);
  auto* recentColumn = new QVBoxLayout(recentBox_);
  recentColumn->setContentsMargins(0, 0, 0, 0);
  recentColumn->setSpacing(2);
  recentColumn->addWidget(headingLabel(tr("Recent runs"), recentBox_));
  recent_ = new QVBoxLayout;
  recent_->setSpacing(0);
  recentColumn->addLayout(recent_);
  column->addWidget(recentBox_);
  column->addStretch(3);
  auto* foot = new QHBoxLayout;
  machine_ = mutedLabel({}, body);
  machine_->setWordWrap(true);
  chooseEngine_ = new QPushButton(tr("Choose the engine…"), body);
  foot->addWidget(machine_, 1);
  foot->addWidget(chooseEngine_);
  column->addLayout(foot);
  auto* row = new QHBoxLayout(this);
  row->setContentsMargins(24, 12, 24, 14);
  row->addStretch(1);
  row->addWidget(body, 20);
  row->addStretch(1);
  connect(chooseEngine_, &QPushButton::clicked, this, &WelcomePage::engineWanted);
  connect(model_, &session::RunListModel::refreshed, this, &WelcomePage::fillRecent);
  connect(model_, &session::RunListModel::libraryChanged, this, &WelcomePage::showMachine);
  fillRecent();
  showMachine();
}

QWidget* WelcomePage::buildCards() {
  auto* box = new QWidget(this);
  auto* grid = new QHBoxLayout(box);
  grid->setContentsMargins(0, 0, 0, 0);
  grid->setSpacing(12);
  demo_ = card(box,
               QStringLiteral("demo"),
               tr("Open demo run"),
               tr("A recorded training with a live optimizer switch, in replay."));
  start_ = card(box,
                QStringLiteral("new_run"),
                tr("Start a run"),
                tr("The demo trains in a minute on any machine; large batches can be simulated."));
  open_ = card(box,
               QStringLiteral("open"),
               tr("Open…"),
               tr("A run folder or a .bscope file, yours or somebody else's."));
  grid->addWidget(demo_, 1);
  grid->addWidget(start_, 1);
  grid->addWidget(open_, 1);
  connect(demo_, &QPushButton::clicked, this, &WelcomePage::demoWanted);
  connect(start_, &QPushButton::clicked, this, &WelcomePage::newRunWanted);
  connect(open_, &QPushButton::clicked, this, &WelcomePage::openWanted);
  return box;
}

void WelcomePage::setDemo(const QString& path) {
  demo_->setEnabled(!path.isEmpty());
  demo_->setToolTip(path.isEmpty() ? tr("The recorded run (demo.bscope) is not installed.") : path);
  if (path.isEmpty()) {
    demo_->findChild<QLabel*>(QStringLiteral("cardText"))
        ->setText(tr("The recorded run (demo.bscope) is not installed."));
  }
}

void WelcomePage::setBuild(session::EngineBuild* build) {
  build_ = build;
  buildCard_->setBuild(build);
  connect(build_, &session::EngineBuild::changed, this, &WelcomePage::showMachine);
  showMachine();
}

void WelcomePage::showMachine() {
  static const QStringList gpus = gpuNames();
  const QString device = gpus.isEmpty()
                             ? tr("No CUDA device: runs use the CPU; simulated batches work.")
                             : tr("GPU: %1").arg(gpus.join(QStringLiteral(", ")));
  const QString path = build_ != nullptr ? build_->enginePath() : QString();
  // The card above says more of an engine that is being built or could not be.
  const bool told = build_ != nullptr && build_->state() != session::EngineBuild::State::kNone;
  const QString engine =
      !path.isEmpty() ? tr("Engine: %1").arg(path)
      : told          ? tr("Engine: not there yet")
                      : tr("Engine not found: viewing works; to train, set the engine's location.");
  machine_->setText(QStringLiteral("%1   ·   %2   ·   %3")
                        .arg(device, engine, tr("Library: %1").arg(model_->library())));
  chooseEngine_->setVisible(path.isEmpty() && !(told && build_->isLive()));
}

QPushButton* WelcomePage::recentLine(qsizetype at) {
  if (at < lines_.size()) {
    return lines_[at];
  }
  auto* line = new QPushButton(recentBox_);
  line->setProperty("flat", true);
  line->setStyleSheet(QStringLiteral("text-align: left;"));
  connect(line, &QPushButton::clicked, this, [this, line] {
    Q_EMIT runWanted(line->property("folder").toString());
  });
  recent_->addWidget(line);
  lines_.append(line);
  return line;
}

void WelcomePage::fillRecent() {
  const QList<session::RunListItem> runs = model_->runs().mid(0, kRecentRuns);
  // The lines stay: one of them may have the focus, or be pressed at this moment.
  for (qsizetype i = 0; i < runs.size(); ++i) {
    const session::RunListItem& run = runs[i];
    QPushButton* line = recentLine(i);
    QStringList facts{run.name, run.status.word, optimizerTitle(run.status.optimizer)};
    if (!run.resultName.isEmpty()) {
      facts.append(QStringLiteral("%1 %2").arg(run.resultName, formatNumber(run.result, 3)));
    }
    facts.append(timeAgo(run.started));
    facts.removeAll(QString());
    const QString text = facts.join(QStringLiteral("   ·   "));
    if (line->text() != text) {
      line->setText(text);
      line->setIcon(icon(session::stateIcon(run.status.state), IconTint::kMuted));
    }
    line->setToolTip(run.status.evidence);
    line->setProperty("folder", run.folder);
    line->show();
  }
  for (qsizetype i = runs.size(); i < lines_.size(); ++i) {
    lines_[i]->hide();
  }
  recentBox_->setVisible(!runs.isEmpty());
}

}  // namespace batchscope::views
