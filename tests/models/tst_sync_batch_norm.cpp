#include "models/factory.h"
#include "models/sync_batch_norm.h"
#include "tests/support/shapes_batch.h"
#include "tests/support/test_program.h"

#include <torch/autograd.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/batchnorm.h>

#include <QtTest>

#include <barrier>
#include <functional>
#include <thread>
#include <vector>

using namespace batchscope;

namespace {

/// Ranks as threads that sum by meeting: everyone adds, then everyone takes a copy.
class Meeting {
 public:
  explicit Meeting(std::ptrdiff_t ranks) : barrier_(ranks) {}

  std::shared_ptr<models::SharedStatistics> statistics(std::size_t rank) {
    auto shared = std::make_shared<models::SharedStatistics>();
    shared->sum = [this, rank](torch::Tensor& tensor) {
      if (rank == 0) {
        total_ = torch::zeros_like(tensor);
      }
      barrier_.arrive_and_wait();
      {
        const std::lock_guard lock(mutex_);
        total_ += tensor;
      }
      barrier_.arrive_and_wait();
      tensor.copy_(total_);
      barrier_.arrive_and_wait();
    };
    return shared;
  }

 private:
  std::barrier<> barrier_;
  std::mutex mutex_;
  torch::Tensor total_;
};

void on_ranks(std::size_t ranks,
              const std::function<void(std::size_t rank, Meeting& meeting)>& work) {
  Meeting meeting(static_cast<std::ptrdiff_t>(ranks));
  std::vector<std::thread> threads;
  for (std::size_t r = 0; r < ranks; ++r) {
    threads.emplace_back([&, r] { work(r, meeting); });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

models::SyncBatchNorm layer(std::int64_t channels) {
  models::SyncBatchNorm norm{torch::nn::BatchNorm2dOptions(channels)};
  norm->to(torch::kFloat64);
  return norm;
}

torch::Tensor row(std::vector<double> values) {
  const auto count = static_cast<std::int64_t>(values.size());
  return torch::tensor(values, torch::kFloat64).view({1, 1, 1, count});
}

/// What one rank, or BatchNorm2d over everything, ends a pass with.
struct Pass {
  torch::Tensor y, dx, dweight, dbias, mean, var;
};

template <typename Norm>
Pass pass(Norm& norm, const torch::Tensor& input, const torch::Tensor& dy) {
  const torch::Tensor x = input.detach().clone().requires_grad_();
  const torch::Tensor y = norm->forward(x);
  const auto grads = torch::autograd::grad({y}, {x, norm->weight, norm->bias}, {dy});
  return {y.detach(), grads[0], grads[1], grads[2], norm->running_mean, norm->running_var};
}

bool close(const torch::Tensor& a, const torch::Tensor& b, double bound = 1e-12) {
  return a.sizes() == b.sizes() && (a - b).abs().max().item<double>() < bound;
}

}  // namespace

class TestSyncBatchNorm : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  /// The golden values of algorithms.md 7.2, computed by hand: unequal counts weigh by element.
  void unequal_counts_weigh_by_element() {
    const std::vector<torch::Tensor> x = {row({1, 2}), row({3, 6, 9})};
    const std::vector<torch::Tensor> expected = {row({-1.09373684, -0.75194408}),
                                                 row({-0.41015132, 0.61522697, 1.64060527})};
    std::vector<Pass> found(2);
    on_ranks(2, [&](std::size_t r, Meeting& meeting) {
      auto norm = layer(1);
      norm->shared = meeting.statistics(r);
      found[r] = pass(norm, x[r], torch::ones_like(x[r]));
    });
    for (std::size_t r = 0; r < 2; ++r) {
      QVERIFY(close(found[r].y, expected[r], 1e-8));
      QVERIFY(close(found[r].mean, torch::tensor({0.42}, torch::kFloat64)));
      QVERIFY(close(found[r].var, torch::tensor({1.97}, torch::kFloat64)));
    }
  }

  /// Three ranks, one of them with a picture fewer, against torch's layer over all pictures.
  void ranks_are_one_batch() {
    const auto x = 5 + 2 * torch::randn({5, 4, 6, 3}, testing::generator(3), torch::kFloat64);
    const auto dy = torch::randn({5, 4, 6, 3}, testing::generator(4), torch::kFloat64);
    const auto weight = torch::randn({4}, testing::generator(5), torch::kFloat64);
    torch::nn::BatchNorm2d plain{torch::nn::BatchNorm2dOptions(4)};
    plain->to(torch::kFloat64);
    plain->weight.data().copy_(weight);
    const Pass whole = pass(plain, x, dy);
    std::vector<Pass> found(3);
    on_ranks(3, [&](std::size_t r, Meeting& meeting) {
      auto norm = layer(4);
      norm->weight.data().copy_(weight);
      norm->shared = meeting.statistics(r);
      const auto first = static_cast<std::int64_t>(2 * r);
      found[r] = pass(norm, x.slice(0, first, first + 2), dy.slice(0, first, first + 2));
    });
    torch::Tensor dweight = torch::zeros({4}, torch::kFloat64), dbias = dweight.clone();
    for (std::size_t r = 0; r < 3; ++r) {
      const auto first = static_cast<std::int64_t>(2 * r);
      QVERIFY(close(found[r].y, whole.y.slice(0, first, first + 2)));
      QVERIFY(close(found[r].dx, whole.dx.slice(0, first, first + 2)));
      QVERIFY(close(found[r].mean, whole.mean) && close(found[r].var, whole.var));
      dweight += found[r].dweight;
      dbias += found[r].dbias;
    }
    QVERIFY(close(dweight, whole.dweight, 1e-11) && close(dbias, whole.dbias, 1e-11));
  }

  /// A rank that goes along without pictures changes nothing for the other.
  void a_rank_that_does_not_count_is_not_there() {
    const auto x = torch::randn({2, 3, 4, 4}, testing::generator(6), torch::kFloat64);
    const auto dy = torch::randn({2, 3, 4, 4}, testing::generator(7), torch::kFloat64);
    auto alone = layer(3);
    const Pass expected = pass(alone, x, dy);
    std::vector<Pass> found(2);
    on_ranks(2, [&](std::size_t r, Meeting& meeting) {
      auto norm = layer(3);
      norm->shared = meeting.statistics(r);
      norm->shared->counts = r == 0;
      found[r] = r == 0 ? pass(norm, x, dy) : pass(norm, 100 * x, 7 * dy);
    });
    QVERIFY(close(found[0].y, expected.y) && close(found[0].dx, expected.dx));
    QVERIFY(close(found[1].mean, expected.mean) && close(found[1].var, expected.var));
  }

  void one_element_and_none_leave_the_running_statistics() {
    for (const bool counts : {true, false}) {
      auto norm = layer(1);
      norm->shared = std::make_shared<models::SharedStatistics>();
      norm->shared->sum = [](torch::Tensor&) {};
      norm->shared->counts = counts;
      const Pass found = pass(norm, row({3}), row({2}));
      QVERIFY(found.y.isfinite().all().item<bool>() && found.dx.isfinite().all().item<bool>());
      QCOMPARE(found.mean.item<double>(), 0.0);
      QCOMPARE(found.var.item<double>(), 1.0);
    }
  }

  void outside_of_training_it_is_a_batch_norm() {
    auto norm = layer(2);
    norm->running_mean.fill_(3);
    norm->running_var.fill_(4);
    norm->shared = std::make_shared<models::SharedStatistics>();
    norm->shared->sum = [](torch::Tensor&) { QFAIL("nothing is shared outside of training"); };
    norm->eval();
    const auto x = torch::full({1, 2, 1, 1}, 5.0, torch::kFloat64);
    QVERIFY(close(norm->forward(x), torch::full_like(x, 2 / std::sqrt(4 + 1e-5))));
  }

  /// The body's and the pyramid's norms share; the heads', which may see no region, do not.
  void a_model_shares_what_every_pass_has() {
    const auto count = [](const std::string& name, const std::string& norm) {
      const auto model = models::make_detector({.name = name, .norm = norm});
      return models::share_statistics(*model, std::make_shared<models::SharedStatistics>());
    };
    QCOMPARE(count("fasterrcnn_resnet50_fpn", "syncbn"), std::int64_t(53));
    QCOMPARE(count("fasterrcnn_resnet50_fpn_v2", "syncbn"), std::int64_t(53 + 8));
    QCOMPARE(count("fasterrcnn_resnet50_fpn", "bn"), std::int64_t(0));
    const auto sync = models::make_detector({.name = "tiny_faster_rcnn", .norm = "syncbn"});
    const auto plain = models::make_detector({.name = "tiny_faster_rcnn", .norm = "bn"});
    QCOMPARE(sync->named_parameters().keys(), plain->named_parameters().keys());
    QCOMPARE(sync->named_buffers().keys(), plain->named_buffers().keys());
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument,
                             models::make_detector({.name = "tiny_faster_rcnn", .norm = "layer"}));
  }
};

BATCHSCOPE_TEST(TestSyncBatchNorm)
#include "tst_sync_batch_norm.moc"
