#pragma once

#include <QtTest>

#include <stdexcept>
#include <string>

namespace batchscope {

/// The sentence with which `act` fails with an error of type E; empty: it did not.
template <typename E, typename Act>
std::string sentence_of(const Act& act) {
  try {
    act();
  } catch (const E& error) {
    return error.what();
  }
  return {};
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// The text with the first `from` replaced; it has to be there.
inline std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  if (at == std::string::npos) {
    throw std::logic_error("test: '" + from + "' is not in the text");
  }
  return text.replace(at, from.size(), to);
}

/// A row of a test that damages a good file in one place and reads what is said about it.
struct Damage {
  std::string from, to, said;
  std::string in(const std::string& text) const { return replaced(text, from, to); }
  /// The present row.
  static Damage fetch() {
    QFETCH(QString, from);
    QFETCH(QString, to);
    QFETCH(QString, said);
    return {from.toStdString(), to.toStdString(), said.toStdString()};
  }
};

/// Adds such rows: made at the begin of the test's _data function.
class DamageRows {
 public:
  DamageRows() {
    QTest::addColumn<QString>("from");
    QTest::addColumn<QString>("to");
    QTest::addColumn<QString>("said");
  }
  void operator()(const char* name, const char* from, const char* to, const char* said) const {
    QTest::newRow(name) << QString::fromUtf8(from) << QString::fromUtf8(to)
                        << QString::fromUtf8(said);
  }
};

}  // namespace batchscope
