#include "models/focal_loss.h"

#include "cmake/torch/threads.h"
#include "models/matcher.h"

#include <ATen/Parallel.h>
#include <torch/autograd.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace batchscope::models {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

/// The loss of one logit and its derivative. `positive`: the row's class.
template <typename Scalar>
struct Term {
  Scalar loss, slope;
};

/// With z the logit, negated for a negative, p = sigmoid(z):
/// loss = alpha_t (1 - p)^gamma · -log p;
/// d loss / dz = alpha_t (1 - p)^gamma (gamma p log p - (1 - p)).
template <typename Scalar>
Term<Scalar> term(Scalar logit, bool positive, const FocalOptions& o) {
  const Scalar z = positive ? logit : -logit;
  const Scalar tail = std::exp(-std::abs(z));
  const Scalar log_p = std::min<Scalar>(z, 0) - std::log1p(tail);
  const Scalar larger = 1 / (1 + tail), smaller = tail / (1 + tail);
  const Scalar p = z >= 0 ? larger : smaller, q = z >= 0 ? smaller : larger;
  const auto gamma = static_cast<Scalar>(o.gamma);
  const Scalar power = o.gamma == 2 ? q * q : std::pow(q, gamma);
  const auto weight = static_cast<Scalar>(positive ? o.alpha : 1 - o.alpha) * power;
  const Scalar slope = weight * (gamma * p * log_p - q);
  return {-weight * log_p, positive ? slope : -slope};
}

/// Loss (returned) and gradient (written) of rows first…last.
template <typename Scalar>
double sum_rows(const Scalar* logits,
                const std::int64_t* labels,
                std::int64_t classes,
                std::int64_t first,
                std::int64_t last,
                const FocalOptions& o,
                Scalar* gradient) {
  double sum = 0;
  for (std::int64_t row = first; row < last; ++row) {
    const Scalar* in = logits + row * classes;
    Scalar* out = gradient + row * classes;
    if (labels[row] == kBetweenThresholds) {
      std::fill(out, out + classes, Scalar(0));
      continue;
    }
    Scalar row_sum = 0;
    for (std::int64_t k = 0; k < classes; ++k) {
      const Term<Scalar> t = term(in[k], k == labels[row], o);
      row_sum += t.loss;
      out[k] = t.slope;
    }
    sum += static_cast<double>(row_sum);
  }
  return sum;
}

constexpr std::int64_t kBlockRows = 256;  // summed at once: the result is the same for any threads

template <typename Scalar>
double loss_and_gradient(const torch::Tensor& logits,
                         const torch::Tensor& labels,
                         const FocalOptions& o,
                         torch::Tensor& gradient) {
  const std::int64_t rows = logits.size(0), blocks = (rows + kBlockRows - 1) / kBlockRows;
  std::vector<double> sums(static_cast<std::size_t>(blocks), 0);
  threads::parallel_for(
      at::get_num_threads(), blocks, 1, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t b = first; b < last; ++b) {
          sums[static_cast<std::size_t>(b)] = sum_rows(logits.const_data_ptr<Scalar>(),
                                                       labels.const_data_ptr<std::int64_t>(),
                                                       logits.size(1),
                                                       b * kBlockRows,
                                                       std::min(rows, (b + 1) * kBlockRows),
                                                       o,
                                                       gradient.mutable_data_ptr<Scalar>());
        }
      });
  double sum = 0;
  for (const double part : sums) {
    sum += part;
  }
  return sum;
}

/// The loss on the CPU: its gradient is made in the same pass and kept.
struct FocalFunction : torch::autograd::Function<FocalFunction> {
  static torch::Tensor forward(AutogradContext* ctx,
                               const torch::Tensor& logits,
                               const torch::Tensor& labels,
                               const FocalOptions& o) {
    const torch::Tensor own = logits.contiguous(), rows = labels.contiguous();
    torch::Tensor gradient = torch::empty_like(own);
    double sum = 0;
    // NOLINTNEXTLINE(bugprone-lambda-function-name): inside of the macro
    AT_DISPATCH_FLOATING_TYPES(own.scalar_type(), "focal_loss", [&] {
      sum = loss_and_gradient<scalar_t>(own, rows, o, gradient);
    });
    ctx->save_for_backward({gradient});
    return torch::scalar_tensor(sum, logits.options().requires_grad(false));
  }

  static tensor_list backward(AutogradContext* ctx, const tensor_list& grads) {
    return {ctx->get_saved_variables()[0] * grads[0], {}, {}};
  }
};

torch::Tensor composed(const torch::Tensor& logits,
                       const torch::Tensor& labels,
                       const FocalOptions& o) {
  const torch::Tensor rows = (labels != kBetweenThresholds).nonzero().view(-1);
  const torch::Tensor x = logits.index_select(0, rows), label = labels.index_select(0, rows);
  const torch::Tensor classes = torch::arange(x.size(1), label.options());
  const torch::Tensor positive = label.unsqueeze(1) == classes;
  const torch::Tensor z = torch::where(positive, x, -x);
  const torch::Tensor weight = torch::where(
      positive, torch::full({}, o.alpha, x.options()), torch::full({}, 1 - o.alpha, x.options()));
  return (weight * torch::sigmoid(-z).pow(o.gamma) * torch::softplus(-z)).sum();
}

}  // namespace

torch::Tensor focal_loss_sum(const torch::Tensor& logits,
                             const torch::Tensor& labels,
                             const FocalOptions& options) {
  TORCH_CHECK(logits.dim() == 2 && labels.dim() == 1 && labels.size(0) == logits.size(0),
              "focal_loss_sum: expected logits [A, K] and labels [A], found ",
              logits.sizes(),
              " and ",
              labels.sizes());
  const bool fused = options.path == FocalPath::kFused ||
                     (options.path == FocalPath::kOfDevice && logits.is_cpu());
  return fused ? FocalFunction::apply(logits, labels, options) : composed(logits, labels, options);
}

}  // namespace batchscope::models
