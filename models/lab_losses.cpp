#include "models/lab_losses.h"

#include <torch/autograd.h>

#include <algorithm>
#include <cmath>

namespace batchscope::models::lab {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

constexpr double kRpnBeta = 0.11;
constexpr double kUsedShare = 0.3, kPositiveShare = 0.075;

std::size_t at(std::int64_t i) {
  return static_cast<std::size_t>(i);
}

/// Smooth L1 and its derivative at `difference`.
template <typename T>
std::pair<T, T> smooth_l1(T difference, T beta) {
  const T size = std::abs(difference);
  if (size < beta) {
    return {T(0.5) * size * size / beta, difference / beta};
  }
  const T sign = difference > 0 ? T(1) : difference < 0 ? T(-1) : difference;
  return {size - T(0.5) * beta, sign};
}

enum class AnchorUse : char { kIgnored, kNegative, kPositive };

/// How the anchors of one picture are used, and which slot a positive one is matched to.
template <typename T>
struct AnchorMatch {
  std::vector<AnchorUse> use;
  std::vector<std::int64_t> slot;
  std::vector<T> overlaps, best;

  void match(const std::vector<Box<T>>& anchors, const Truth<T>& truth, std::int64_t picture) {
    const std::int64_t slots = truth.slots;
    use.assign(anchors.size(), AnchorUse::kIgnored);
    slot.assign(anchors.size(), 0);
    overlaps.assign(anchors.size() * at(slots), 0);
    best.assign(at(slots), 0);
    for (std::int64_t g = 0; g < slots; ++g) {
      if (truth.labels[at(picture * slots + g)] < 0) {
        continue;
      }
      for (std::size_t a = 0; a < anchors.size(); ++a) {
        const T v = iou(anchors[a], truth.boxes[at(picture * slots + g)]);
        overlaps[a * at(slots) + at(g)] = v;
        best[at(g)] = std::max(best[at(g)], v);
      }
    }
    for (std::size_t a = 0; a < anchors.size(); ++a) {
      assign(a, overlaps.data() + a * at(slots));
    }
  }

 private:
  /// Positive: overlap >= 0.4, or the best anchor of a box with overlap > 0.1 (then matched to the
  /// first such box); negative: < 0.3.
  void assign(std::size_t a, const T* row) {
    const auto slots = static_cast<std::int64_t>(best.size());
    const std::int64_t top = std::max_element(row, row + slots) - row;
    std::int64_t forced = -1;
    for (std::int64_t g = 0; g < slots && forced < 0; ++g) {
      forced = row[g] == best[at(g)] && row[g] > T(0.1) ? g : -1;
    }
    slot[a] = forced >= 0 ? forced : top;
    if (forced >= 0 || row[top] >= T(0.4)) {
      use[a] = AnchorUse::kPositive;
    } else if (row[top] < T(0.3)) {
      use[a] = AnchorUse::kNegative;
    }
  }
};

struct KnownGradient : torch::autograd::Function<KnownGradient> {
  static tensor_list forward(AutogradContext* ctx,
                             const torch::Tensor& z,
                             const LossPair& pair,
                             std::int64_t split) {
    ctx->save_for_backward({pair.gradient.to(z.device())});
    ctx->saved_data["split"] = split;
    return {torch::full({}, pair.first, z.options()), torch::full({}, pair.second, z.options())};
  }

  static tensor_list backward(AutogradContext* ctx, const tensor_list& grads) {
    const std::int64_t split = ctx->saved_data.at("split").toInt();
    torch::Tensor gradient = ctx->get_saved_variables()[0].clone();
    gradient.narrow(1, 0, split).mul_(grads[0]);
    gradient.narrow(1, split, gradient.size(1) - split).mul_(grads[1]);
    return {gradient, {}, {}};
  }
};

}  // namespace

template <typename T>
LossPair rpn_losses(const torch::Tensor& head,
                    const std::vector<Box<T>>& anchors,
                    const Truth<T>& truth) {
  const auto count = static_cast<std::int64_t>(anchors.size());
  LossPair result{0, 0, torch::zeros_like(head)};
  const T used_scale = T(1) / T(static_cast<double>(truth.pictures * count) * kUsedShare);
  const T box_scale = T(1) / T(static_cast<double>(truth.pictures * count) * kPositiveShare);
  const T* in = head.const_data_ptr<T>();
  T* grad = result.gradient.template mutable_data_ptr<T>();
  AnchorMatch<T> match;
  for (std::int64_t i = 0; i < truth.pictures; ++i, in += 5 * count, grad += 5 * count) {
    match.match(anchors, truth, i);
    for (std::int64_t a = 0; a < count; ++a) {
      if (match.use[at(a)] == AnchorUse::kIgnored) {
        continue;
      }
      const bool positive = match.use[at(a)] == AnchorUse::kPositive;
      const T logit = in[a];
      const T e = std::exp(-std::abs(logit));
      result.first += std::max(logit, T(0)) - (positive ? logit : T(0)) + std::log1p(e);
      const T sigmoid = logit >= 0 ? T(1) / (T(1) + e) : e / (T(1) + e);
      grad[a] = (sigmoid - (positive ? T(1) : T(0))) * used_scale;
      if (!positive) {
        continue;
      }
      const auto want =
          encode(anchors[at(a)], truth.boxes[at(i * truth.slots + match.slot[at(a)])]);
      const T goal[4] = {want.dx, want.dy, want.dw, want.dh};
      for (std::int64_t k = 0; k < 4; ++k) {
        const auto [loss, slope] = smooth_l1<T>(in[(k + 1) * count + a] - goal[k], T(kRpnBeta));
        result.second += loss;
        grad[(k + 1) * count + a] = slope * box_scale;
      }
    }
  }
  result.first *= used_scale;
  result.second *= box_scale;
  return result;
}

template <typename T>
LossPair roi_losses(const torch::Tensor& head,
                    const RoiSample<T>& sample,
                    std::int64_t num_classes) {
  const std::int64_t classes = num_classes + 1, columns = classes + 4, rows = head.size(0);
  LossPair result{0, 0, torch::zeros_like(head)};
  const T scale = T(1) / static_cast<T>(rows);
  const T* in = head.const_data_ptr<T>();
  T* grad = result.gradient.template mutable_data_ptr<T>();
  for (std::int64_t r = 0; r < rows; ++r, in += columns, grad += columns) {
    const std::int64_t label = sample.labels[at(r)];
    const T peak = *std::max_element(in, in + classes);
    T sum = 0;
    for (std::int64_t c = 0; c < classes; ++c) {
      grad[c] = std::exp(in[c] - peak);
      sum += grad[c];
    }
    result.first += std::log(sum) - (in[label] - peak);
    for (std::int64_t c = 0; c < classes; ++c) {
      grad[c] = (grad[c] / sum - (c == label ? T(1) : T(0))) * scale;
    }
    if (label == num_classes) {
      continue;
    }
    const Offsets<T>& want = sample.offsets[at(r)];
    const T goal[4] = {want.dx, want.dy, want.dw, want.dh};
    for (std::int64_t k = 0; k < 4; ++k) {
      const auto [loss, slope] = smooth_l1<T>(in[classes + k] - goal[k], T(1));
      result.second += loss;
      grad[classes + k] = slope * scale;
    }
  }
  result.first *= scale;
  result.second *= scale;
  return result;
}

std::pair<torch::Tensor, torch::Tensor> attach(const torch::Tensor& z,
                                               const LossPair& pair,
                                               std::int64_t split) {
  const tensor_list scalars = KnownGradient::apply(z, pair, split);
  return {scalars[0], scalars[1]};
}

template LossPair rpn_losses(const torch::Tensor&,
                             const std::vector<Box<float>>&,
                             const Truth<float>&);
template LossPair roi_losses(const torch::Tensor&, const RoiSample<float>&, std::int64_t);
template LossPair rpn_losses(const torch::Tensor&,
                             const std::vector<Box<double>>&,
                             const Truth<double>&);
template LossPair roi_losses(const torch::Tensor&, const RoiSample<double>&, std::int64_t);

}  // namespace batchscope::models::lab
