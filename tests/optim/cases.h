#pragma once

#include "tests/optim/rig.h"

#include <QtTest>

/// The methods and variants that every rule is tried on.
namespace rig {

using namespace batchscope::optim;

struct Case {
  const char* name;
  Options options;
};

inline std::vector<Case> cases() {
  const auto make = [](Method method, double eps) {
    Options o;
    o.method = method;
    o.eps = eps;
    o.weight_decay = 0.01;
    o.trust_coefficient = 0.02;
    o.pmd_period = 7;
    o.pmd_start = 2;
    return o;
  };
  std::vector<Case> list = {{"sgd", make(Method::kSgd, 1e-8)},
                            {"nesterov", make(Method::kSgd, 1e-8)},
                            {"adamw", make(Method::kAdamW, 1e-8)},
                            {"lars", make(Method::kLars, 1e-8)},
                            {"lars pre", make(Method::kLars, 1e-8)},
                            {"lamb", make(Method::kLamb, 1e-6)},
                            {"pmd moment_scale", make(Method::kPmdLamb, 1e-6)},
                            {"pmd beta_scale", make(Method::kPmdLamb, 1e-6)},
                            {"pmd readout", make(Method::kPmdLamb, 1e-6)}};
  list[1].options.nesterov = true;
  list[4].options.lars_pre = true;
  list[5].options.clip_norm = 1;
  list[5].options.clip_form = ClipForm::kLamb;
  list[7].options.pmd_variant = PmdVariant::kBetaScale;
  list[8].options.pmd_variant = PmdVariant::kReadout;
  return list;
}

inline void run(Rig& r, Stream& stream, int first, int last) {
  for (int step = first; step <= last; ++step) {
    r.step(stream.gradients(step), rate(0.01, step));
  }
}

inline void each_case() {
  QTest::addColumn<int>("index");
  const auto list = cases();
  for (std::size_t i = 0; i < list.size(); ++i) {
    QTest::newRow(list[i].name) << static_cast<int>(i);
  }
}
inline Options fetched() {
  const int index = *static_cast<const int*>(QTest::qData("index", QMetaType::Int));
  return cases()[static_cast<std::size_t>(index)].options;
}

}  // namespace rig
