#pragma once

#include <QFile>
#include <QList>
#include <QLocalServer>
#include <QLocalSocket>
#include <QTest>

namespace batchscope::test {

/// Listens where control.json says and speaks fixture lines.
class FakeEngine : public QObject {
 public:
  explicit FakeEngine(const QString& folder) : folder_(folder) { listen(); }
  void listen() {
    socket_ = folder_ + QStringLiteral("/s%1").arg(++count_);
    QVERIFY(server_.listen(socket_));
    QObject::connect(&server_, &QLocalServer::newConnection, this, [this] {
      client_ = server_.nextPendingConnection();
      QObject::connect(client_, &QLocalSocket::readyRead, this, [this] {
        while (client_ && client_->canReadLine())
          lines.append(client_->readLine().trimmed());
      });
    });
    QFile file(folder_ + QStringLiteral("/control.json"));
    QVERIFY(file.open(QIODevice::WriteOnly));
    file.write("{\"socket\":\"" + socket_.toUtf8() + "\",\"pid\":1,\"protocol\":1}");
  }
  void say(const QByteArray& line) {
    client_->write(line + '\n');
    client_->flush();
  }
  void sayRaw(const QByteArray& bytes) {
    client_->write(bytes);
    client_->flush();
  }
  void stop() {
    if (client_)
      client_->abort();
    client_ = nullptr;
    server_.close();
    server_.disconnect(this);
  }
  QByteArray command(int index) const { return lines.value(index); }
  QList<QByteArray> lines;

 private:
  QString folder_, socket_;
  QLocalServer server_;
  QLocalSocket* client_ = nullptr;
  int count_ = 0;
};

inline QByteArray statusText(const char* state, int step) {
  return QByteArray("{\"run_id\":\"0f3a91c2d4e5\",\"state\":\"") + state +
         "\",\"step\":" + QByteArray::number(step) +
         ",\"steps\":4800,\"images\":3296,\"committed_seq\":412,\"optimizer\":\"sgd\",\"agvm\":"
         "false,\"lr\":0.08,\"micro\":8,\"accumulation\":1,\"ranks\":1,\"phase\":\"training\"}";
}
inline QByteArray helloLine(int id) {
  return "{\"id\":" + QByteArray::number(id) +
         ",\"ok\":true,\"protocol\":1,\"engine\":\"0.1.0\",\"status\":" +
         statusText("running", 412) + "}";
}

}  // namespace batchscope::test
