#include "models/lab_losses.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

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

template <typename T>
struct PictureTruth {
  const Box<T>* boxes;
  const std::int64_t* labels;
  std::int64_t slots;
  T height, width;
};

template <typename T>
void add_proposals(const T* head,
                   const std::vector<Box<T>>& anchors,
                   const PictureTruth<T>& picture,
                   std::vector<Box<T>>& boxes) {
  const auto count = static_cast<std::int64_t>(anchors.size());
  for (const std::int64_t a : top_indices(head, count, kTopRois)) {
    const T* d = head + count + a;
    boxes.push_back(decode<T>(anchors[at(a)],
                              {d[0], d[count], d[2 * count], d[3 * count]},
                              picture.width,
                              picture.height));
  }
}

/// A jittered copy of each true box, a drawn anchor for each empty slot, then drawn anchors.
template <typename T>
void add_drawn(const std::int64_t* pick,
               const float* jitter,
               const std::vector<Box<T>>& anchors,
               const PictureTruth<T>& picture,
               std::vector<Box<T>>& boxes) {
  const auto drawn = [&](std::int64_t k) {
    return clip<T>(anchors[at(pick[k])], picture.width, picture.height);
  };
  for (std::int64_t g = 0; g < picture.slots; ++g, jitter += 4) {
    const Box<T>& b = picture.boxes[g];
    boxes.push_back(picture.labels[g] < 0 ? drawn(kRandomRois + g)
                                          : Box<T>{b.x1 + T(jitter[0] * 1.5F),
                                                   b.y1 + T(jitter[1] * 1.5F),
                                                   b.x2 + T(jitter[2] * 1.5F),
                                                   b.y2 + T(jitter[3] * 1.5F)});
  }
  for (std::int64_t k = 0; k < kRandomRois; ++k) {
    boxes.push_back(drawn(k));
  }
}

/// Foreground: overlap >= 0.5 with a true box.
template <typename T>
void label_roi(const Box<T>& roi,
               const PictureTruth<T>& picture,
               std::int64_t background,
               RoiSample<T>& sample) {
  std::int64_t best = 0;
  T best_overlap = -1;
  for (std::int64_t g = 0; g < picture.slots; ++g) {
    const T v = picture.labels[g] >= 0 ? iou(roi, picture.boxes[g]) : T(0);
    if (v > best_overlap) {
      best = g;
      best_overlap = v;
    }
  }
  sample.labels.push_back(best_overlap >= T(0.5) ? picture.labels[best] : background);
  const Offsets<T> d = encode(roi, picture.boxes[best]);
  sample.offsets.push_back({d.dx * T(kOffsetWeights[0]),
                            d.dy * T(kOffsetWeights[1]),
                            d.dw * T(kOffsetWeights[2]),
                            d.dh * T(kOffsetWeights[3])});
}

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
Truth<T> pad_truth(const std::vector<Target>& targets, std::int64_t num_classes) {
  Truth<T> truth;
  truth.pictures = static_cast<std::int64_t>(targets.size());
  truth.slots = kMinSlots;
  for (const Target& target : targets) {
    if (target.boxes.dim() != 2 || target.boxes.size(1) != 4 ||
        target.labels.numel() != target.boxes.size(0)) {
      throw std::invalid_argument("lab_faster_rcnn: a target needs boxes [N, 4] and labels [N]");
    }
    truth.slots = std::max(truth.slots, target.boxes.size(0));
  }
  truth.boxes.assign(at(truth.pictures * truth.slots), Box<T>{0, 0, 0, 0});
  truth.labels.assign(truth.boxes.size(), -1);
  for (std::int64_t i = 0; i < truth.pictures; ++i) {
    const torch::Tensor boxes = targets[at(i)].boxes.to(torch::kCPU, torch::kFloat32).contiguous();
    const torch::Tensor labels = targets[at(i)].labels.to(torch::kCPU, torch::kInt64).contiguous();
    const auto* b = boxes.const_data_ptr<float>();
    const auto* l = labels.const_data_ptr<std::int64_t>();
    for (std::int64_t g = 0; g < labels.numel(); ++g, b += 4) {
      if (l[g] < 1 || l[g] > num_classes) {
        throw std::invalid_argument("lab_faster_rcnn: expected labels 1…" +
                                    std::to_string(num_classes) + ", found " +
                                    std::to_string(l[g]));
      }
      truth.boxes[at(i * truth.slots + g)] = {b[0], b[1], b[2], b[3]};
      truth.labels[at(i * truth.slots + g)] = l[g] - 1;
    }
  }
  return truth;
}

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
std::vector<std::int64_t> top_indices(const T* values, std::int64_t count, std::int64_t n) {
  std::vector<std::int64_t> order(at(count));
  std::iota(order.begin(), order.end(), 0);
  n = std::min(n, count);
  std::partial_sort(
      order.begin(), order.begin() + n, order.end(), [values](std::int64_t a, std::int64_t b) {
        const bool nan_a = std::isnan(values[a]), nan_b = std::isnan(values[b]);
        if (nan_a != nan_b) {
          return nan_a;
        }
        return (!nan_a && values[a] != values[b]) ? values[a] > values[b] : a < b;
      });
  order.resize(at(n));
  return order;
}

template <typename T>
RoiSample<T> choose_rois(const torch::Tensor& head,
                         const std::vector<Box<T>>& anchors,
                         const Truth<T>& truth,
                         const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes,
                         std::int64_t num_classes,
                         torch::Generator& generator) {
  const auto count = static_cast<std::int64_t>(anchors.size());
  const std::int64_t n = truth.pictures, slots = truth.slots;
  const torch::Tensor picks =
      torch::randint(0, count, {n, kRandomRois + slots}, generator, torch::kInt64);
  const torch::Tensor jitter = torch::randn({n, slots, 4}, generator, torch::kFloat32);
  const std::int64_t per_picture = std::min(kTopRois, count) + slots + kRandomRois;
  RoiSample<T> sample;
  sample.rois = torch::empty({n * per_picture, 5}, head.options());
  sample.labels.reserve(at(n * per_picture));
  sample.offsets.reserve(at(n * per_picture));
  T* row = sample.rois.template mutable_data_ptr<T>();
  std::vector<Box<T>> boxes;
  for (std::int64_t i = 0; i < n; ++i) {
    const PictureTruth<T> picture{truth.boxes.data() + i * slots,
                                  truth.labels.data() + i * slots,
                                  slots,
                                  static_cast<T>(sizes[at(i)].first),
                                  static_cast<T>(sizes[at(i)].second)};
    boxes.clear();
    add_proposals(head.const_data_ptr<T>() + i * 5 * count, anchors, picture, boxes);
    add_drawn(picks.const_data_ptr<std::int64_t>() + i * (kRandomRois + slots),
              jitter.const_data_ptr<float>() + i * slots * 4,
              anchors,
              picture,
              boxes);
    for (const Box<T>& box : boxes) {
      const Box<T> roi = widen(box);
      label_roi(roi, picture, num_classes, sample);
      for (const T value : {static_cast<T>(i), roi.x1, roi.y1, roi.x2, roi.y2}) {
        *row++ = value;
      }
    }
  }
  return sample;
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

#define BATCHSCOPE_INSTANTIATE(T)                                                                  \
  template Truth<T> pad_truth(const std::vector<Target>&, std::int64_t);                           \
  template LossPair rpn_losses(const torch::Tensor&, const std::vector<Box<T>>&, const Truth<T>&); \
  template std::vector<std::int64_t> top_indices(const T*, std::int64_t, std::int64_t);            \
  template RoiSample<T> choose_rois(const torch::Tensor&,                                          \
                                    const std::vector<Box<T>>&,                                    \
                                    const Truth<T>&,                                               \
                                    const std::vector<std::pair<std::int64_t, std::int64_t>>&,     \
                                    std::int64_t,                                                  \
                                    torch::Generator&);                                            \
  template LossPair roi_losses(const torch::Tensor&, const RoiSample<T>&, std::int64_t);
BATCHSCOPE_INSTANTIATE(float)
BATCHSCOPE_INSTANTIATE(double)
#undef BATCHSCOPE_INSTANTIATE

}  // namespace batchscope::models::lab
