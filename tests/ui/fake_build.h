#pragma once

#include <QDir>
#include <QFile>
#include <QProcess>
#include <QTest>

#include <csignal>

namespace batchscope::test {

/// An engine's build that goes no further than it is told: a shell script in a process of its own,
/// which writes engine-build.json as the set-up script does and, at the end, an engine that is a
/// script, too. `again` starts another that builds until letFinish().
class FakeBuild {
 public:
  /// `folder` stands for build/dev and must exist.
  explicit FakeBuild(const QString& folder) : folder_(folder) {
    QDir(folder).mkpath(QStringLiteral("bin"));
    write(path("build.sh"), kScript);
    write(path("again.sh"), kAgain);
    writer_.setProgram(QStringLiteral("bash"));
    writer_.setArguments({path("build.sh"), folder_});
    writer_.setProcessChannelMode(QProcess::ForwardedErrorChannel);
  }
  ~FakeBuild() {
    kill();
    QFile pid(path("again.pid"));
    if (pid.open(QIODevice::ReadOnly) && !QFile::exists(path("again.done"))) {
      ::kill(static_cast<pid_t>(pid.readAll().trimmed().toLongLong()), SIGKILL);
    }
  }
  FakeBuild(const FakeBuild&) = delete;
  FakeBuild& operator=(const FakeBuild&) = delete;

  QString file() const { return path("engine-build.json"); }
  QString engine() const { return path("bin/batchscope-engine"); }
  QString log() const { return path("engine-build.log"); }
  QString path(const char* name) const { return folder_ + QLatin1Char('/') + QLatin1String(name); }

  /// Writes a state, as the writer; returns once it stands in the file.
  bool say(const char* state, int done = 0, int total = 0, const QString& message = {}) {
    return order(
        QStringLiteral("%1|%2|%3|%4").arg(QLatin1String(state)).arg(done).arg(total).arg(message));
  }
  bool addToLog(const QString& line) { return order(QStringLiteral("log|0|0|") + line); }
  /// The engine appears, executable.
  bool link() { return order(QStringLiteral("link|0|0|")); }
  /// The writer dies in the middle (SIGKILL).
  void kill() {
    if (writer_.state() != QProcess::NotRunning) {
      writer_.kill();
      writer_.waitForFinished();
    }
  }
  /// How often `again` was run.
  int timesStartedAgain() const {
    QFile file(path("again.log"));
    return file.open(QIODevice::ReadOnly) ? static_cast<int>(file.readAll().count('\n')) : 0;
  }
  void letFinish() { write(path("finish"), "1"); }

  static bool write(const QString& path, const QByteArray& bytes) {
    QFile file(path);
    const bool written = file.open(QIODevice::WriteOnly) && file.write(bytes) == bytes.size();
    return written && file.setPermissions(file.permissions() | QFile::ExeOwner);
  }

 private:
  bool order(const QString& line) {
    if (writer_.state() == QProcess::NotRunning) {
      writer_.start();
    }
    writer_.write(line.toUtf8() + '\n');
    QByteArray answer;
    while (!answer.contains("done\n") && writer_.waitForReadyRead(20000)) {
      answer += writer_.readAllStandardOutput();
    }
    return answer.contains("done\n");
  }

  static constexpr char kScript[] = R"(
folder=$1
stat=$(< /proc/$$/stat); stat=${stat##*) }; read -ra fields <<< "$stat"
boot=$(< /proc/sys/kernel/random/boot_id)
say() {
  printf '{"state": "%s", "done": %d, "total": %d, "message": "%s", "log": "%s/engine-build.log",
"pid": %d, "pid_start": "%s", "boot": "%s", "again": ["/bin/bash", "%s/again.sh", "%s"]}\n' \
    "$1" "$2" "$3" "$4" "$folder" "$$" "${fields[19]}" "$boot" "$folder" "$folder" \
    > "$folder/engine-build.json.new"
  mv -f "$folder/engine-build.json.new" "$folder/engine-build.json"
}
link() {
  printf '#!/bin/sh\nexit 0\n' > "$folder/bin/batchscope-engine"
  chmod +x "$folder/bin/batchscope-engine"
}
if [[ -n ${2:-} ]]; then
  say building 5 330 ''
  for ((i = 0; i < 3000; i++)); do [[ -e $folder/finish ]] && break; sleep 0.02; done
  link
  say ready 330 330 ''
  : > "$folder/again.done"
  exit 0
fi
while IFS='|' read -r word done total message; do
  case $word in
    log) printf '%s\n' "$message" >> "$folder/engine-build.log" ;;
    link) link ;;
    *) say "$word" "$done" "$total" "$message" ;;
  esac
  echo done
done
)";
  static constexpr char kAgain[] = R"(
echo started >> "$1/again.log"
echo $$ > "$1/again.pid"
exec bash "$1/build.sh" "$1" again
)";

  QString folder_;
  QProcess writer_;
};

}  // namespace batchscope::test
