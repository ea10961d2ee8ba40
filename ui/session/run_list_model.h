#pragma once

#include "ui/session/view_data.h"

#include <QAbstractTableModel>
#include <QFileSystemWatcher>
#include <QHash>
#include <QSortFilterProxyModel>
#include <QThread>
#include <QTimer>

#include <atomic>
#include <memory>
#include <optional>

namespace batchscope::session {

/// One run as the list shows it.
struct RunListItem {
  QString id, name, group, folder;
  StatusItem status;  // computed
  std::int64_t effectiveBatch = 0;
  QString started, finished;  // ISO 8601 UTC or empty
  QMap<QString, double> metrics;
  QString resultName;  // storage::headline() of the metrics; empty: none
  double result = 0;
  bool operator==(const RunListItem& other) const;
};

/// The runs of a library with their computed status. A worker thread scans every two seconds and
/// when the folder changes. GUI thread.
class RunListModel : public QAbstractTableModel {
  Q_OBJECT
  Q_PROPERTY(QString library READ library WRITE setLibrary NOTIFY libraryChanged)

 public:
  enum Column {
    kStateColumn,
    kNameColumn,
    kStepColumn,
    kResultColumn,  // "PQ 0.481"
    kOptimizerColumn,
    kBatchColumn,
    kStartedColumn,
    kColumns
  };
  enum Role {
    kIdRole = Qt::UserRole + 1,
    kFolderRole,
    kStateRole,      // int of contract::RunState
    kStateWordRole,  // "running"
    kIconRole,       // name of the icon
    kEvidenceRole,
    kErrorRole,
    kSortRole,      // typed value of the column
    kProgressRole,  // 0…1
    kLiveRole,
    kMetricsRole
  };

  explicit RunListModel(QObject* parent = nullptr);
  ~RunListModel() override;

  QString library() const { return library_; }
  /// Shows this folder's runs; empty: the default library. Lists at once, off the GUI thread.
  void setLibrary(const QString& folder);
  /// Time between scans, default 2,000 ms.
  void setInterval(int ms);
  const QList<RunListItem>& runs() const { return runs_; }
  /// The step of a run that is open and knows it sooner than a scan; absent: it was closed.
  void noteStep(const QString& id, std::optional<std::int64_t> step);
  /// Row of a run id or folder, or -1.
  int rowOf(const QString& idOrFolder) const;
  /// True once the first scan has come back.
  bool isLoaded() const { return loaded_; }
  /// The default library folder.
  static QString defaultLibrary();

  int rowCount(const QModelIndex& parent = {}) const override;
  int columnCount(const QModelIndex& parent = {}) const override;
  QVariant data(const QModelIndex& index, int role) const override;
  QVariant headerData(int section, Qt::Orientation orientation, int role) const override;
  QHash<int, QByteArray> roleNames() const override;

 public Q_SLOTS:
  void refresh();

 Q_SIGNALS:
  void libraryChanged(const QString& library);
  /// A scan has come back (whether or not something changed).
  void refreshed();
  void failed(const QString& sentence);

 private:
  void apply(QList<RunListItem> runs);
  void merge(const QString& library, const QList<RunListItem>& runs, const QString& error);
  QVariant display(const RunListItem& run, int column) const;
  QVariant sortValue(const RunListItem& run, int column) const;

  QString library_, lastError_;
  QList<RunListItem> runs_;
  QHash<QString, std::int64_t> noted_;
  std::atomic<bool> cancelled_{false};  // a large library is not read to its end for nobody
  QThread thread_;
  std::unique_ptr<QObject> worker_;
  QTimer timer_;
  QFileSystemWatcher watcher_;
  bool scanning_ = false, again_ = false, loaded_ = false;
};

/// Sorts by the typed values and keeps the runs whose name, id, optimizer or state holds the text.
class RunFilterModel : public QSortFilterProxyModel {
  Q_OBJECT

 public:
  explicit RunFilterModel(QObject* parent = nullptr);
  void setText(const QString& text);
  QString text() const { return text_; }

 protected:
  bool filterAcceptsRow(int row, const QModelIndex& parent) const override;

 private:
  QString text_;
};

}  // namespace batchscope::session
