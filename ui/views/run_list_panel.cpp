#include "ui/views/run_list_panel.h"

#include "ui/views/widgets.h"

#include <QApplication>
#include <QClipboard>
#include <QDesktopServices>
#include <QHeaderView>
#include <QLabel>
#include <QLineEdit>
#include <QMenu>
#include <QPainter>
#include <QPushButton>
#include <QStyledItemDelegate>
#include <QTreeView>
#include <QUrl>
#include <QVBoxLayout>

#include <cmath>

namespace batchscope::views {

namespace {

using Role = session::RunListModel::Role;

IconTint tintOf(const QString& word) {
  if (word == QLatin1String("running") || word == QLatin1String("finished")) {
    return IconTint::kGood;
  }
  if (word == QLatin1String("failed") || word == QLatin1String("lost")) {
    return IconTint::kBad;
  }
  return word == QLatin1String("paused") || word == QLatin1String("stopping") ? IconTint::kWarn
                                                                              : IconTint::kMuted;
}

/// Two lines a run: name; then state, result, step and optimizer. A thin bar shows the progress.
class RunDelegate : public QStyledItemDelegate {
 public:
  using QStyledItemDelegate::QStyledItemDelegate;

  QSize sizeHint(const QStyleOptionViewItem& option, const QModelIndex&) const override {
    return {120, 2 * option.fontMetrics.height() + 19};
  }

  void paint(QPainter* painter,
             const QStyleOptionViewItem& option,
             const QModelIndex& index) const override {
    const Palette& p = colours();
    painter->save();
    painter->setRenderHint(QPainter::Antialiasing);
    const bool selected = option.state & QStyle::State_Selected;
    if (selected || option.state & QStyle::State_MouseOver) {
      painter->setPen(Qt::NoPen);
      painter->setBrush(selected ? p.selection : p.hover);
      painter->drawRoundedRect(QRectF(option.rect).adjusted(4, 1, -4, -1), 6, 6);
    }
    const QString word = index.data(Role::kStateWordRole).toString();
    const QRect box = option.rect.adjusted(12, 5, -12, -5);
    const QIcon sign = icon(index.data(Role::kIconRole).toString(), tintOf(word));
    sign.paint(painter, QRect(box.left(), box.top() + 2, 18, 18));
    const int left = box.left() + 27;
    const int line = option.fontMetrics.height();
    QFont bold = option.font;
    bold.setWeight(QFont::DemiBold);
    painter->setFont(bold);
    painter->setPen(p.text);
    const auto sibling = [&](int column) {
      return index.siblingAtColumn(column).data().toString();
    };
    const QRect name(left, box.top(), box.right() - left, line);
    painter->drawText(
        name,
        Qt::AlignLeft | Qt::AlignVCenter,
        QFontMetrics(bold).elidedText(
            sibling(session::RunListModel::kNameColumn), Qt::ElideMiddle, name.width()));
    painter->setFont(option.font);
    painter->setPen(p.textMuted);
    QStringList facts{word,
                      sibling(session::RunListModel::kResultColumn),
                      sibling(session::RunListModel::kStepColumn),
                      optimizerTitle(sibling(session::RunListModel::kOptimizerColumn))};
    facts.removeAll(QString());
    const QRect second(left, box.top() + line + 2, box.right() - left, line);
    painter->drawText(second,
                      Qt::AlignLeft | Qt::AlignVCenter,
                      option.fontMetrics.elidedText(
                          facts.join(QStringLiteral(" · ")), Qt::ElideRight, second.width()));
    const double progress = index.data(Role::kProgressRole).toDouble();
    if (index.data(Role::kLiveRole).toBool() && progress > 0) {
      const QRectF bar(left, box.bottom() - 1, box.right() - left, 3);
      painter->setPen(Qt::NoPen);
      painter->setBrush(p.border);
      painter->drawRoundedRect(bar, 1.5, 1.5);
      painter->setBrush(p.accent);
      painter->drawRoundedRect(
          QRectF(bar.topLeft(), QSizeF(bar.width() * std::min(progress, 1.0), 3)), 1.5, 1.5);
    }
    painter->restore();
  }
};

}  // namespace

RunListPanel::RunListPanel(session::RunListModel* model, QWidget* parent)
    : QWidget(parent), model_(model) {
  filtered_ = new session::RunFilterModel(this);
  filtered_->setSourceModel(model);
  filtered_->setSortRole(Role::kSortRole);
  filtered_->sort(session::RunListModel::kStartedColumn, Qt::DescendingOrder);
  filter_ = new QLineEdit(this);
  filter_->setPlaceholderText(tr("Filter runs"));
  filter_->setAccessibleName(tr("Filter runs"));
  filter_->setToolTip(tr("Shows the runs whose name, id, optimizer or state holds this text"));
  filter_->setClearButtonEnabled(true);
  filter_->addAction(icon(QStringLiteral("search"), IconTint::kMuted), QLineEdit::LeadingPosition);
  view_ = new QTreeView(this);
  view_->setModel(filtered_);
  view_->setItemDelegate(new RunDelegate(view_));
  view_->setRootIsDecorated(false);
  view_->setHeaderHidden(true);
  view_->setUniformRowHeights(true);
  view_->setMouseTracking(true);
  view_->setFrameShape(QFrame::NoFrame);
  view_->setAccessibleName(tr("Runs"));
  view_->setContextMenuPolicy(Qt::CustomContextMenu);
  view_->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  followTheme(this, [this] { setMinimumWidth(8 * fontMetrics().height()); });
  for (int column = 1; column < session::RunListModel::kColumns; ++column) {
    view_->setColumnHidden(column, true);
  }
  view_->header()->setSectionResizeMode(0, QHeaderView::Stretch);

  empty_ = new QWidget(this);
  auto* emptyColumn = new QVBoxLayout(empty_);
  emptyText_ = mutedLabel({}, empty_);
  emptyText_->setWordWrap(true);
  emptyText_->setAlignment(Qt::AlignCenter);
  demo_ = new QPushButton(icon(QStringLiteral("demo")), tr("Open demo run"), empty_);
  start_ = new QPushButton(icon(QStringLiteral("new_run")), tr("Start a run"), empty_);
  clear_ = new QPushButton(tr("Clear filter"), empty_);
  emptyColumn->addSpacing(24);
  emptyColumn->addWidget(emptyText_);
  for (QPushButton* button : {demo_, start_, clear_}) {
    emptyColumn->addWidget(button, 0, Qt::AlignCenter);
  }
  emptyColumn->addStretch(1);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(6, 6, 6, 6);
  column->addWidget(filter_);
  column->addWidget(view_, 1);
  column->addWidget(empty_, 1);

  connect(filter_, &QLineEdit::textChanged, this, [this](const QString& text) {
    filtered_->setText(text);
    showState();
  });
  const auto open = [this](const QModelIndex& index) {
    Q_EMIT openWanted(index.data(Role::kFolderRole).toString());
  };
  connect(view_, &QTreeView::clicked, this, open);
  connect(view_, &QTreeView::activated, this, open);
  connect(view_, &QWidget::customContextMenuRequested, this, &RunListPanel::showMenu);
  connect(clear_, &QPushButton::clicked, filter_, &QLineEdit::clear);
  connect(demo_, &QPushButton::clicked, this, &RunListPanel::demoWanted);
  connect(start_, &QPushButton::clicked, this, &RunListPanel::newRunWanted);
  connect(model_, &session::RunListModel::refreshed, this, &RunListPanel::showState);
  connect(&Theme::instance(), &Theme::changed, view_->viewport(), qOverload<>(&QWidget::update));
  showState();
}

QString RunListPanel::selectedFolder() const {
  const QModelIndex index = view_->currentIndex();
  return index.isValid() ? index.data(Role::kFolderRole).toString() : QString();
}

void RunListPanel::select(const QString& idOrFolder) {
  const int row = model_->rowOf(idOrFolder);
  const QModelIndex index =
      row >= 0 ? filtered_->mapFromSource(model_->index(row, 0)) : QModelIndex();
  view_->setCurrentIndex(index);
}

void RunListPanel::showMenu(const QPoint& at) {
  const QModelIndex index = view_->indexAt(at);
  if (!index.isValid()) {
    return;
  }
  const QString folder = index.data(Role::kFolderRole).toString();
  const QString id = index.data(Role::kIdRole).toString();
  QMenu menu(this);
  menu.addAction(
      icon(QStringLiteral("open")), tr("Open"), this, [&] { Q_EMIT openWanted(folder); });
  menu.addAction(icon(QStringLiteral("compare")), tr("Add to compare"), this, [&] {
    Q_EMIT compareWanted(folder);
  });
  QAction* resume =
      menu.addAction(icon(QStringLiteral("resume")), tr("Continue this run"), this, [&] {
        Q_EMIT resumeWanted(folder);
      });
  resume->setEnabled(!index.data(Role::kLiveRole).toBool() &&
                     index.data(Role::kStateWordRole).toString() != QLatin1String("finished"));
  menu.addSeparator();
  menu.addAction(icon(QStringLiteral("copy")), tr("Copy run id"), this, [&] {
    QApplication::clipboard()->setText(id);
  });
  menu.addAction(icon(QStringLiteral("folder")), tr("Show folder"), this, [&] {
    QDesktopServices::openUrl(QUrl::fromLocalFile(folder));
  });
  menu.exec(view_->viewport()->mapToGlobal(at));
}

void RunListPanel::showState() {
  const bool any = filtered_->rowCount() > 0;
  const bool filtering = !filter_->text().isEmpty() && model_->rowCount() > 0;
  view_->setVisible(any);
  empty_->setVisible(!any);
  emptyText_->setText(!model_->isLoaded() ? tr("Reading the library…")
                      : filtering         ? tr("No run matches “%1”.").arg(filter_->text())
                                          : tr("No runs yet."));
  clear_->setVisible(filtering);
  demo_->setVisible(model_->isLoaded() && !filtering);
  start_->setVisible(model_->isLoaded() && !filtering);
}

}  // namespace batchscope::views
