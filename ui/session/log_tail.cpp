#include "ui/session/log_tail.h"

#include <QFile>
#include <QRegularExpression>

#include <sys/stat.h>

namespace batchscope::session {

namespace {

constexpr qint64 kMostBytes = 1048576;
constexpr qsizetype kLongestLine = 65536;

/// What a terminal would show of a line.
QStringView shown(QStringView line) {
  while (line.endsWith(QLatin1Char('\r')))
    line.chop(1);
  return line.mid(line.lastIndexOf(QLatin1Char('\r')) + 1);
}

QString plain(const QByteArray& bytes) {
  static const QRegularExpression colours(QStringLiteral("\x1b\\[[0-9;?]*[A-Za-z]"));
  auto text = QString::fromUtf8(bytes);
  text.remove(colours).remove(QChar::Null);
  if (!text.contains(QLatin1Char('\r')))
    return text;
  QString result;
  for (const auto line : QStringView(text).split(QLatin1Char('\n')))
    result.append(shown(line)).append(QLatin1Char('\n'));
  result.chop(1);
  return result;
}

}  // namespace

QString LogTail::take(QByteArray bytes) {
  if (bytes.isEmpty())
    return plain(std::exchange(pending_, {}));
  bytes.prepend(std::exchange(pending_, {}));
  if (bytes.size() > kLongestLine && !bytes.contains('\n'))
    return plain(bytes);
  const auto whole = bytes.lastIndexOf('\n') + 1;
  pending_ = bytes.mid(whole);
  return plain(bytes.left(whole));
}

std::optional<LogTail::News> LogTail::read() {
  struct ::stat facts {};
  // Before it is opened: to open a pipe would wait for its writer.
  if (::stat(QFile::encodeName(path_).constData(), &facts) != 0 || !S_ISREG(facts.st_mode))
    return std::nullopt;
  QFile file(path_);
  if (!file.open(QIODevice::ReadOnly))
    return std::nullopt;
  const auto size = file.size();
  News news;
  news.restarted = inode_ != facts.st_ino || size < offset_ || size - offset_ > kMostBytes;
  if (news.restarted) {
    inode_ = facts.st_ino;
    pending_.clear();
    offset_ = std::max<qint64>(0, size - kMostBytes);
  }
  const bool cut = news.restarted && offset_ > 0;
  file.seek(offset_);
  auto bytes = file.read(kMostBytes);
  offset_ += bytes.size();
  if (cut)
    bytes.remove(0, bytes.indexOf('\n') + 1);
  if (!news.restarted && bytes.isEmpty() && pending_.isEmpty())
    return std::nullopt;
  news.text = take(bytes);
  if (news.text.count(QLatin1Char('\n')) > kMostLines)
    news.text = news.text.section(QLatin1Char('\n'), -kMostLines - 1);
  return news.restarted || !news.text.isEmpty() ? std::optional(news) : std::nullopt;
}

}  // namespace batchscope::session
