#include "engine/contract/run_spec.h"
#include "models/factory.h"
#include "tests/support/test_program.h"

#include <algorithm>

using namespace batchscope;

/// A spec may name the detectors that can be built, and no others: forms show its list.
class TestModelNames : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void the_contract_knows_what_can_be_built() {
    const auto keys = contract::schema();
    const auto key = std::find_if(keys.begin(), keys.end(), [](const contract::KeyInfo& info) {
      return info.key == "model.name";
    });
    QVERIFY(key != keys.end());
    std::string names;
    for (const std::string& name : models::detector_names()) {
      names += (names.empty() ? "one of " : ", ") + name;
    }
    QCOMPARE(key->range, names);
  }
};

BATCHSCOPE_TEST(TestModelNames)
#include "tst_model_names.moc"
