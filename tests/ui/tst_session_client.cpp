#include "fake_engine.h"
#include "tests/support/test_program.h"
#include "ui/session/command_log.h"
#include "ui/session/engine_client.h"

#include <QFile>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>

using namespace batchscope;
using namespace batchscope::session;
using batchscope::test::FakeEngine;
using batchscope::test::helloLine;
using batchscope::test::statusText;

class TestEngineClient : public QObject {
  Q_OBJECT

 private:
  std::unique_ptr<QTemporaryDir> folder_;
  std::unique_ptr<FakeEngine> engine_;
  std::unique_ptr<EngineClient> client_;
  std::unique_ptr<CommandLog> log_;

  void attach() {
    client_->attach(folder_->path());
    QTRY_COMPARE(engine_->lines.size(), 1);
    engine_->say(helloLine(1));
    QTRY_COMPARE(client_->state(), EngineClient::State::kAttached);
  }

 private Q_SLOTS:
  void init() {
    folder_ = std::make_unique<QTemporaryDir>();
    engine_ = std::make_unique<FakeEngine>(folder_->path());
    client_ = std::make_unique<EngineClient>();
    client_->setRetryInterval(20);
    log_ = std::make_unique<CommandLog>();
    log_->follow(client_.get());
  }
  void cleanup() {
    client_.reset();
    engine_.reset();
  }

  void saysHelloAndReadsTheStatus() {
    QSignalSpy received(client_.get(), &EngineClient::statusReceived);
    attach();
    const auto sent = contract::decode_command(engine_->command(0).toStdString());
    QCOMPARE(std::get<contract::HelloCommand>(sent.body).protocol, contract::kProtocolVersion);
    QCOMPARE(client_->engineVersion(), QStringLiteral("0.1.0"));
    QCOMPARE(received.count(), 1);
    QCOMPARE(received[0][0].value<contract::StatusReport>().step, std::int64_t{412});
  }

  void aCommandIsPendingThenApplied() {
    attach();
    contract::OptimizerCommand body;
    body.name = "lamb";
    body.agvm = true;
    const auto id = client_->send(body);
    QCOMPARE(log_->latest().command, QStringLiteral("switch to lamb, AGVM on"));
    QCOMPARE(log_->pendingCount(), 1);
    QTRY_COMPARE(engine_->lines.size(), 2);
    const auto sent = contract::decode_command(engine_->command(1).toStdString());
    QCOMPARE(sent.id, id);
    QVERIFY(std::get<contract::OptimizerCommand>(sent.body) == body);
    const auto number = QByteArray::number(id);
    engine_->say("{\"notice\":\"pending\",\"id\":" + number + ",\"command\":\"optimizer\"}");
    QTRY_COMPARE(log_->latest().state, CommandLog::State::kTaken);
    engine_->say("{\"id\":" + number +
                 ",\"ok\":true,\"step\":431,\"detail\":\"restore point 431\"}");
    QTRY_COMPARE(log_->latest().state, CommandLog::State::kApplied);
    QCOMPARE(log_->latest().step, 431);
    QCOMPARE(log_->latest().detail, QStringLiteral("restore point 431"));
    QCOMPARE(log_->pendingCount(), 0);
  }

  void aCommandIsRefused() {
    attach();
    const auto id = client_->send(contract::EndCommand{3});
    engine_->say("{\"id\":" + QByteArray::number(id) +
                 ",\"error\":\"the run is at step 431\",\"field\":\"step\"}");
    QTRY_COMPARE(log_->latest().state, CommandLog::State::kRefused);
    QCOMPARE(log_->latest().reason, QStringLiteral("the run is at step 431"));
    QCOMPARE(log_->latest().field, QStringLiteral("step"));
  }

  void silenceIsSaidAndALateAnswerCounts() {
    attach();
    client_->setAnswerTimeout(150);
    QSignalSpy silent(client_.get(), &EngineClient::noAnswer);
    const auto id = client_->send(contract::PauseCommand{});
    QTRY_COMPARE(silent.count(), 1);
    QVERIFY(silent[0][1].toString().contains(QStringLiteral("pause")));
    QCOMPARE(log_->latest().state, CommandLog::State::kNoAnswer);
    QCOMPARE(log_->pendingCount(), 1);
    QTest::qWait(300);
    QCOMPARE(silent.count(), 1);  // said once
    engine_->say("{\"id\":" + QByteArray::number(id) + ",\"ok\":true,\"step\":500}");
    QTRY_COMPARE(log_->latest().state, CommandLog::State::kApplied);
  }

  void attachesAgainAfterALostConnection() {
    attach();
    client_->send(contract::PauseCommand{});
    QTRY_COMPARE(engine_->lines.size(), 2);
    engine_->stop();
    QTRY_COMPARE(client_->state(), EngineClient::State::kConnecting);
    QCOMPARE(log_->latest().state, CommandLog::State::kLost);
    QCOMPARE(log_->pendingCount(), 0);
    QCOMPARE(client_->send(contract::PauseCommand{}), -1);  // refused, never silently dropped
    QCOMPARE(log_->latest().state, CommandLog::State::kRefused);
    engine_->listen();  // another socket: a resumed engine
    QTRY_COMPARE(engine_->lines.size(), 3);
    const auto again = contract::decode_command(engine_->command(2).toStdString());
    engine_->say(helloLine(static_cast<int>(again.id)));
    QTRY_COMPARE(client_->state(), EngineClient::State::kAttached);
    QVERIFY(client_->send(contract::ResumeCommand{}) > 0);
  }

  void waitsForAnEngineThatIsNotThereYet() {
    engine_->stop();
    QVERIFY(QFile::remove(folder_->filePath(QStringLiteral("control.json"))));
    client_->attach(folder_->path());
    QTest::qWait(80);
    QCOMPARE(client_->state(), EngineClient::State::kConnecting);
    QVERIFY(!client_->reason().isEmpty());
    engine_->listen();
    QTRY_COMPARE(engine_->lines.size(), 1);
  }

  void anotherVersionIsViewOnly() {
    client_->attach(folder_->path());
    QTRY_COMPARE(engine_->lines.size(), 1);
    engine_->say("{\"id\":1,\"ok\":true,\"protocol\":9,\"engine\":\"7.0\"}");
    QTRY_COMPARE(client_->state(), EngineClient::State::kMismatch);
    QVERIFY(client_->reason().contains(QStringLiteral("protocol 9")));
    QCOMPARE(client_->send(contract::PauseCommand{}), -1);
    QCOMPARE(log_->latest().state, CommandLog::State::kRefused);
    QSignalSpy committed(client_.get(), &EngineClient::committed);
    engine_->say("{\"notice\":\"committed\",\"seq\":7}");
    QTRY_COMPARE(committed.count(), 1);
  }

  void noticesComeInPiecesAndUnknownOnesAreIgnored() {
    attach();
    QSignalSpy committed(client_.get(), &EngineClient::committed);
    QSignalSpy received(client_.get(), &EngineClient::statusReceived);
    engine_->sayRaw("{\"notice\":\"comm");
    QTest::qWait(20);
    engine_->sayRaw("itted\",\"seq\":431}\n\n{\"notice\":\"weather\",\"sun\":1}\nnot JSON\n");
    engine_->say("{\"notice\":\"state\",\"status\":" + statusText("paused", 431) + "}");
    QTRY_COMPARE(received.count(), 1);
    QCOMPARE(committed.count(), 1);
    QCOMPARE(committed[0][0].toLongLong(), 431);
    QCOMPARE(received[0][0].value<contract::StatusReport>().state, contract::RunState::kPaused);
    QCOMPARE(client_->state(), EngineClient::State::kAttached);
  }

  void anEndlessLineEndsTheConnection() {
    attach();
    engine_->sayRaw(QByteArray(3 << 20, 'x'));
    QTRY_COMPARE(client_->state(), EngineClient::State::kConnecting);
  }

  void words_data() {
    QTest::addColumn<QString>("text");
    QTest::addColumn<QString>("expected");
    const auto row = [](const contract::CommandBody& body, const char* expected) {
      QTest::newRow(expected) << describeCommand(body) << QString::fromLatin1(expected);
    };
    row(contract::StopCommand{contract::StopMode::kSave}, "stop and save");
    row(contract::StopCommand{contract::StopMode::kNow}, "stop now");
    row(contract::LrCommand{0.04}, "base lr 0.04");
    row(contract::AccumulationCommand{4}, "accumulation 4");
    row(contract::UndoCommand{}, "undo");
  }
  void words() {
    QFETCH(QString, text);
    QFETCH(QString, expected);
    QCOMPARE(text, expected);
  }
};

BATCHSCOPE_TEST(TestEngineClient)
#include "tst_session_client.moc"
